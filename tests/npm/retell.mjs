// The testing API's own JavaScript SDK calls every operation of it, and looks at what came of each. Each prints
// `ok <operation>`; the first failure ends it. What this release of the SDK has no method for is asked for by path.
// Needs VIVA_URL (http://127.0.0.1:PORT), VIVA_KEY and VIVA_MCP_URL (an MCP server with the tool `add`).
import { shop } from './retell/support.mjs';
import * as engines from './retell/engines.mjs';
import * as examinations from './retell/examinations.mjs';
import * as agents from './retell/agents.mjs';
import * as chats from './retell/chats.mjs';
import * as knowledge from './retell/knowledge.mjs';

const all = [engines, examinations, agents, chats, knowledge].flatMap((area) => Object.entries(area.operations));
for (const [name, operation] of all) {
  try {
    await operation();
  } catch (error) {
    console.error(`not ok ${name}`);
    throw error;
  }
  console.log(`ok ${name}`);
}
shop.close();
console.log(`${new Set(all.map(([name]) => name)).size} operations`);
