// Voice agents, their versions, and one turn of them; the tools of an MCP server (contract, sections 8, 11 and 12).
import assert from 'node:assert/strict';
import { asked, client, desk, ids, legacy, lost, mocked, of, opening, picked } from './support.mjs';
import { refused, unheardOf, unique, user, walked, words } from './support.mjs';

const { agent: agents, llm, mcpTool, playground } = client;

// What the operations hand on to each other, in the order in which they stand.
let engine, first, clerk;

export const operations = {
  "agent.create": async () => {
    first = await agents.create({ response_engine: of(await desk()), voice_id: 'nobody' });
    engine = of(await desk({ mcps: [{ name: 'sums', url: process.env.VIVA_MCP_URL }] }));
    const agent_name = unique('Clerk');
    clerk = await agents.create({ response_engine: engine, voice_id: 'nobody', agent_name, voice_speed: 1.5 });
    assert.match(clerk.agent_id, /^agent_[0-9a-f]{26,}$/);
    assert.deepEqual([clerk.version, clerk.is_published, clerk.voice_speed], [0, false, 1.5]);
    assert.deepEqual(clerk.response_engine, { ...engine, version: 0 });
    const unknown = { type: 'retell-llm', llm_id: 'llm_0123456789ab' };
    await unheardOf(agents.create({ response_engine: unknown, voice_id: 'nobody' }));
  },
  "agent.retrieve": async () => {
    assert.deepEqual(await agents.retrieve(clerk.agent_id), clerk);
    assert.deepEqual(await agents.retrieve(clerk.agent_id, { version: 0 }), clerk);
  },
  "agent.update": async () => {
    const changed = await agents.update(clerk.agent_id, { version: 0, volume: 2 });
    assert.deepEqual([changed.volume, changed.voice_speed], [2, 1.5]);
    clerk = await agents.retrieve(clerk.agent_id);
    assert.deepEqual(clerk, changed);
  },
  "agent.list": async () => {
    const newest = await walked((query) => agents.list(query), 'agent_id', 2);
    assert.deepEqual(newest, [clerk.agent_id, first.agent_id]);
    const channel = { type: 'string', op: 'eq', value: 'voice' };
    const { items } = await agents.list({ filter_criteria: { channel, query: clerk.agent_name }, limit: 5 });
    const expected = [[clerk.agent_id, clerk.agent_name, 'voice']];
    assert.deepEqual(picked(items, 'agent_id', 'agent_name', 'channel'), expected);
  },
  "playground.completion": async () => {
    const before = asked.length;
    const turn = await playground.completion(clerk.agent_id, {
      version: 0,
      messages: [user('A-1001')],
      dynamic_variables: { shop: 'Elm' },
      tool_mocks: [mocked('late')],
    });
    assert.deepEqual(ids(turn.messages, 'role'), ['tool_call_invocation', 'tool_call_result', 'agent']);
    assert.deepEqual(JSON.parse(turn.messages[0].arguments), { number: 'A-1001' });
    assert.deepEqual(words(turn.messages), ['It is late.']);
    assert.deepEqual([turn.call_ended, turn.dynamic_variables.shop], [false, 'Elm']);
    assert.equal(asked.length, before);
    const messages = [user('A-1001'), ...turn.messages, user('bye')];
    const last = await playground.completion(clerk.agent_id, { messages });
    assert.deepEqual([words(last.messages), last.call_ended], [['Goodbye.'], true]);
    const unmocked = await playground.completion(clerk.agent_id, { messages: [user('A-2')] });
    assert.deepEqual(words(unmocked.messages), ['It is shipped.']);
    assert.deepEqual(asked.slice(before).map((one) => one.body.args), [{ number: 'A-2' }]);
  },
  "mcp_tool.get_mcp_tools": async () => {
    const found = await mcpTool.getMcpTools(clerk.agent_id, { mcp_id: 'sums' });
    const add = found.find((one) => one.name === 'add');
    assert.equal(add.description, 'Adds two numbers.');
    assert.deepEqual(Object.keys(add.inputSchema.properties), ['a', 'b']);
    await unheardOf(mcpTool.getMcpTools(clerk.agent_id, { mcp_id: 'others' }));
  },

  "agent.publish": async () => {
    await agents.publish(clerk.agent_id, { version: 0, version_title: 'first' });
    const now = await agents.retrieve(clerk.agent_id, { version: 'latest_published' });
    assert.deepEqual([now.version, now.is_published, now.version_title], [0, true, 'first']);
    await refused(agents.update(clerk.agent_id, { volume: 1 }));
    await refused(llm.update(engine.llm_id, { general_prompt: 'x' }));
  },
  "agent.create_version": async () => {
    const draft = await agents.createVersion(clerk.agent_id, { base_version: 0 });
    assert.deepEqual([draft.version, draft.base_version, draft.is_published], [1, 0, false]);
    assert.deepEqual(draft.response_engine, { ...engine, version: 1 });
    assert.equal((await llm.update(engine.llm_id, { begin_message: 'Good day.' })).version, 1);
    assert.equal((await llm.retrieve(engine.llm_id, { version: 0 })).begin_message, 'Hello from {{shop}}.');
    assert.equal((await opening(clerk.agent_id))[0], 'Good day.');
    await lost(agents.createVersion(clerk.agent_id, { base_version: 7 }));
  },
  "agent.list_versions": async () => {
    const list = (query) => agents.listVersions(clerk.agent_id, query);
    assert.deepEqual(await walked(list, 'version'), [1, 0]);
  },
  "agent.get_versions": async () => {
    const found = await agents.getVersions(clerk.agent_id);
    assert.deepEqual(picked(found, 'version', 'is_published', 'voice_speed'), [[1, false, 1.5], [0, true, 1.5]]);
  },
  "legacy.list_agents": async () => {
    const every = await legacy('/list-agents', { limit: 2 });
    assert.deepEqual(picked(every, 'agent_id', 'version'), [[clerk.agent_id, 1], [clerk.agent_id, 0]]);
    const latest = await legacy('/list-agents', { limit: 2, is_latest: true });
    assert.deepEqual(picked(latest, 'agent_id', 'version'), [[clerk.agent_id, 1], [first.agent_id, 0]]);
  },
  "agent.delete_version": async () => {
    await agents.deleteVersion(clerk.agent_id, { version: 1 });
    assert.deepEqual(ids((await agents.listVersions(clerk.agent_id)).items, 'version'), [0]);
    assert.equal((await opening(clerk.agent_id))[0], 'Hello from Birch.');
    await lost(agents.deleteVersion(clerk.agent_id, { version: 1 }));
  },
  "legacy.publish_agent": async () => {
    await client.post(`/publish-agent/${first.agent_id}`);
    const { items } = await agents.listVersions(first.agent_id);
    assert.deepEqual(picked(items, 'version', 'is_published'), [[1, false], [0, true]]);
  },
  "agent.delete": async () => {
    await agents.delete(clerk.agent_id);
    await unheardOf(agents.retrieve(clerk.agent_id));
    assert.equal((await llm.retrieve(engine.llm_id)).llm_id, engine.llm_id);
    assert.ok(!ids(await legacy('/list-agents'), 'agent_id').includes(clerk.agent_id));
  },
};
