/** The pane of example operations; a click opens one, signed in and with real ids filled in. */

import { useGraphiQL, useGraphiQLActions, type GraphiQLPlugin } from '@graphiql/react'
import { useState } from 'react'

import { EXAMPLES, filled, type Example } from './examples'
import { accountOf, ACCOUNTS, readHeaders, signIn } from './session'

function ExampleIcon() {
  return (
    <svg viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.5">
      <path d="M3 2.5h10v11H3zM5.5 6h5M5.5 8.5h5M5.5 11h3" />
    </svg>
  )
}

function ExampleList() {
  const open = useOpenExample()
  const [opened, setOpened] = useState('')
  const [problem, setProblem] = useState('')

  async function choose(example: Example) {
    setOpened('')
    setProblem('')
    try {
      await open(example)
      setOpened(example.name)
    } catch (reason) {
      setProblem(String(reason))
    }
  }

  return (
    <div className="examples" data-open={opened}>
      <h2>示例 Examples</h2>
      <p>点开即登录相应身份，并填好变量；再按运行键。A click signs in and fills the variables; then run.</p>
      {problem && <p role="alert">{problem}</p>}
      {ACCOUNTS.map(({ code, label }) => (
        <section key={code}>
          <h3>{label}</h3>
          <ul>
            {EXAMPLES.filter((example) => example.account === code).map((example) => (
              <li key={example.name}>
                <button type="button" data-example={example.name} onClick={() => void choose(example)}>
                  {example.title}
                </button>
              </li>
            ))}
          </ul>
        </section>
      ))}
    </div>
  )
}

/** Opens an example in its tab if it has one, otherwise in a new tab. */
function useOpenExample() {
  const { addTab, changeTab } = useGraphiQLActions()
  const { tabs, queryEditor, variableEditor, headerEditor } = useGraphiQL((state) => ({
    tabs: state.tabs,
    queryEditor: state.queryEditor,
    variableEditor: state.variableEditor,
    headerEditor: state.headerEditor,
  }))

  return async (example: Example) => {
    const before = readHeaders(headerEditor?.getValue() ?? '')
    const isSignedIn = accountOf(before) === example.account
    const headers = isSignedIn ? before : await signIn(example.account, before)
    const variables = await filled(example, headers)
    const index = tabs.findIndex((tab) => tab.query === example.document)
    if (index >= 0) changeTab(index)
    else addTab()
    queryEditor?.setValue(example.document)
    variableEditor?.setValue(variables)
    headerEditor?.setValue(JSON.stringify(headers, null, 2))
  }
}

export const EXAMPLES_PLUGIN: GraphiQLPlugin = {
  title: '示例 Examples',
  icon: ExampleIcon,
  content: ExampleList,
}
