/** The select that signs in and puts the token into the headers editor of the open tab. */

import { useGraphiQL } from '@graphiql/react'
import { useState } from 'react'

import { accountOf, ACCOUNTS, readHeaders, signIn, type Account } from './session'

export function SignIn() {
  const editor = useGraphiQL((state) => state.headerEditor)
  const headers = useGraphiQL((state) => state.tabs[state.activeTabIndex]?.headers ?? '')
  const [problem, setProblem] = useState('')

  async function choose(account: Account) {
    setProblem('')
    try {
      const signedIn = await signIn(account, readHeaders(editor?.getValue() ?? ''))
      editor?.setValue(JSON.stringify(signedIn, null, 2))
    } catch (reason) {
      setProblem(String(reason))
    }
  }

  return (
    <label className="sign-in">
      {problem && <span role="alert">{problem}</span>}
      <span>身份 sign in as</span>
      <select
        value={accountOf(readHeaders(headers)) ?? ''}
        onChange={(event) => void choose(event.target.value as Account)}
      >
        <option value="" disabled>
          自定令牌 own token
        </option>
        {ACCOUNTS.map(({ code, label }) => (
          <option key={code} value={code}>
            {label}
          </option>
        ))}
      </select>
    </label>
  )
}
