/** GraphiQL with the mall's examples on the left and its sign-in at the top. */

import { HISTORY_PLUGIN } from '@graphiql/plugin-history'
import { GraphiQL } from 'graphiql'

import { EditorOptions } from './EditorOptions'
import { EXAMPLES_PLUGIN } from './ExampleList'
import { EXAMPLES } from './examples'
import { fetcher } from './fetcher'
import { SignIn } from './SignIn'

const PLUGINS = [EXAMPLES_PLUGIN, HISTORY_PLUGIN] // one array for ever: a new one resets the pane
const FIRST_TABS = [{ query: EXAMPLES[0]?.document ?? '' }]

export function Playground() {
  return (
    <GraphiQL
      fetcher={fetcher}
      plugins={PLUGINS}
      visiblePlugin={EXAMPLES_PLUGIN}
      defaultTabs={FIRST_TABS}
      defaultEditorToolsVisibility="variables"
      schemaDescription
    >
      <GraphiQL.Logo>
        <EditorOptions />
        <SignIn />
      </GraphiQL.Logo>
    </GraphiQL>
  )
}
