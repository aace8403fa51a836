// Engines of prompts, flows, and the parts that flows share (contract, sections 4 and 7).
import assert from 'node:assert/strict';
import { client, complete, desk, END, FIND, ids, legacy, lost, of, opening } from './support.mjs';
import { picked, refused, unheardOf, unique, walked, words } from './support.mjs';

const { llm, conversationFlow: flows, conversationFlowComponent: components, agent: agents, tests } = client;
const said = (text) => ({ type: 'static_text', text });
const way = (id, destination_node_id, prompt) => ({
  id,
  destination_node_id,
  transition_condition: { type: 'prompt', prompt },
});
const asking = (text) => [
  { id: 'ask', type: 'conversation', instruction: said(text), edges: [way('a', 'done', 'the caller says "A-1"')] },
  { id: 'done', type: 'end' },
];

// What the operations hand on to each other, in the order in which they stand.
let engine, second, part, flow, flowEngine, agent;

export const operations = {
  "llm.create": async () => {
    second = await desk();
    engine = await desk({ begin_message: 'To be written.', later_field: { kept: [1, 2.5] } });
    assert.match(engine.llm_id, /^llm_[0-9a-f]{26,}$/);
    assert.deepEqual([engine.version, engine.is_published], [0, false]);
    assert.deepEqual([engine.general_tools, engine.later_field], [[FIND, END], { kept: [1, 2.5] }]);
  },
  "llm.retrieve": async () => {
    assert.deepEqual(await llm.retrieve(engine.llm_id), engine);
    await unheardOf(llm.retrieve(engine.llm_id, { version: 1 }));
  },
  "llm.update": async () => {
    agent = (await agents.create({ response_engine: of(engine), voice_id: 'nobody' })).agent_id;
    const changed = await llm.update(engine.llm_id, { version: 0, begin_message: 'Good day from {{shop}}.' });
    assert.deepEqual(await llm.retrieve(engine.llm_id), changed);
    assert.deepEqual([changed.version, changed.general_tools], [0, engine.general_tools]);
    assert.equal((await opening(agent))[0], 'Good day from Birch.');
  },
  "llm.list": async () => {
    const newest = await walked((query) => llm.list(query), 'llm_id', 2);
    assert.deepEqual(newest, [engine.llm_id, second.llm_id]);
    const [oldest] = (await llm.list({ limit: 1, sort_order: 'ascending' })).items;
    assert.notEqual(oldest.llm_id, engine.llm_id);
  },
  "legacy.list_retell_llm": async () => {
    const newest = await legacy('/list-retell-llms', { limit: 2 });
    assert.deepEqual(ids(newest, 'llm_id'), [engine.llm_id, second.llm_id]);
    const query = { limit: 1, pagination_key: engine.llm_id, pagination_key_version: 0 };
    assert.deepEqual(await legacy('/list-retell-llms', query), [second]);
  },
  "llm.delete": async () => {
    await refused(llm.delete(engine.llm_id));
    await llm.delete(engine.llm_id, { force_delete: true });
    await unheardOf(llm.retrieve(engine.llm_id));
    await llm.delete(second.llm_id);
    await unheardOf(llm.delete(second.llm_id));
  },

  "conversation_flow_component.create": async () => {
    part = await components.create({ name: unique('part'), start_node_id: 'ask', nodes: asking('Which?') });
    assert.match(part.conversation_flow_component_id, /^conversation_flow_component_/);
    assert.deepEqual(part.nodes, asking('Which?'));
  },
  "conversation_flow_component.retrieve": async () => {
    assert.deepEqual(await components.retrieve(part.conversation_flow_component_id), part);
  },
  "conversation_flow_component.list": async () => {
    const [newest] = await walked((query) => components.list(query), 'conversation_flow_component_id', 1);
    assert.equal(newest, part.conversation_flow_component_id);
  },
  "legacy.list_conversation_flow_components": async () => {
    assert.deepEqual((await legacy('/list-conversation-flow-components'))[0], part);
  },
  "conversation_flow.create": async () => {
    const through = {
      id: 'part',
      type: 'component',
      component_id: part.conversation_flow_component_id,
      component_type: 'shared',
      else_edge: way('else', 'tell', 'Else'),
    };
    flow = await flows.create({
      start_speaker: 'agent',
      model_choice: { type: 'cascading', model: 'gpt-4.1' },
      start_node_id: 'part',
      nodes: [through, { id: 'tell', type: 'conversation', instruction: said('It is here.') }],
    });
    assert.match(flow.conversation_flow_id, /^conversation_flow_[0-9a-f]{12,}$/);
    assert.equal(flow.version, 0);
    const links = (await components.retrieve(through.component_id)).linked_conversation_flow_ids;
    assert.deepEqual(links, [flow.conversation_flow_id]);
    await refused(flows.create({ start_speaker: 'agent', nodes: [{ id: 'x', type: 'nothing' }] }));
  },
  "conversation_flow.retrieve": async () => {
    assert.deepEqual(await flows.retrieve(flow.conversation_flow_id, { version: 0 }), flow);
    await lost(flows.retrieve('conversation_flow_0123456789ab'));
  },
  "conversation_flow.list": async () => {
    const [newest] = await walked((query) => flows.list(query), 'conversation_flow_id', 1);
    assert.equal(newest, flow.conversation_flow_id);
  },
  "legacy.list_conversation_flows": async () => {
    assert.deepEqual((await legacy('/list-conversation-flows'))[0], flow);
  },
  "conversation_flow.update": async () => {
    const [through, tell] = flow.nodes;
    const end = { id: 'end', type: 'end', speak_during_execution: true, instruction: said('Goodbye.') };
    const nodes = [through, { ...tell, edges: [way('b', 'end', 'the caller says "bye"')] }, end];
    flow = await flows.update(flow.conversation_flow_id, { nodes });
    assert.deepEqual([flow.version, flow.nodes, flow.start_node_id], [0, nodes, 'part']);
    flowEngine = { type: 'conversation-flow', conversation_flow_id: flow.conversation_flow_id };
    const { test_case_definition_id } = await tests.createTestCaseDefinition({
      name: 'walks through',
      response_engine: flowEngine,
      user_prompt: 'on hear "Which": say "A-1"\non hear "here": say "bye"',
      metrics: ['says "It is here."'],
    });
    const given = { test_case_definition_ids: [test_case_definition_id], response_engine: flowEngine };
    const [batch, [run]] = await complete(await tests.createBatchTest(given));
    assert.equal(batch.pass_count, 1, run.result_explanation);
    const { transcript, currentNodeId } = run.transcript_snapshot;
    assert.deepEqual(words(transcript), ['Which?', 'It is here.', 'Goodbye.']);
    assert.equal(currentNodeId, 'end');
    const moves = transcript.filter((one) => one.role === 'node_transition');
    assert.deepEqual(picked(moves, 'former_node_id', 'new_node_id').at(-1), ['tell', 'end']);
  },
  "conversation_flow_component.update": async () => {
    agent = (await agents.create({ response_engine: flowEngine, voice_id: 'nobody' })).agent_id;
    assert.deepEqual(await opening(agent), ['Which?', 'ask']);
    const id = part.conversation_flow_component_id;
    part = await components.update(id, { nodes: asking('Which order?') });
    assert.deepEqual(await components.retrieve(id), part);
    assert.deepEqual(await opening(agent), ['Which order?', 'ask']);
  },
  "conversation_flow_component.delete": async () => {
    await components.delete(part.conversation_flow_component_id);
    await lost(components.retrieve(part.conversation_flow_component_id));
    // The flow has a copy.
    assert.deepEqual(ids((await flows.retrieve(flow.conversation_flow_id)).components, 'name'), [part.name]);
    assert.deepEqual(await opening(agent), ['Which order?', 'ask']);
  },
  "conversation_flow.delete": async () => {
    await refused(flows.delete(flow.conversation_flow_id));
    await flows.delete(flow.conversation_flow_id, { force_delete: true });
    await lost(flows.retrieve(flow.conversation_flow_id));
  },
};
