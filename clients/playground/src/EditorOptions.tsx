/** Editor settings that GraphiQL has no property for. */

import { useGraphiQL } from '@graphiql/react'
import { useEffect } from 'react'

const OPTIONS = {
  unicodeHighlight: { ambiguousCharacters: false }, // Chinese punctuation is meant
  wordWrap: 'on',
} as const

export function EditorOptions() {
  const editors = useGraphiQL((state) => [
    state.queryEditor,
    state.variableEditor,
    state.headerEditor,
    state.responseEditor,
  ])
  useEffect(() => {
    for (const editor of editors) editor?.updateOptions(OPTIONS)
  }, [editors])
  return null
}
