// Chat agents, and chats with them (contract, sections 8 and 9).
import assert from 'node:assert/strict';
import { client, desk, ids, legacy, lost, of, picked, refused, unheardOf, unique } from './support.mjs';
import { walked, words } from './support.mjs';

const { agent: agents, chat: chats, chatAgent: chatAgents, llm } = client;
const turns = (messages) => picked(messages, 'role', 'content');

// What the operations hand on to each other, in the order in which they stand.
let engine, writer, chat, other;
const mine = () => ({ agent: [{ agent_id: writer.agent_id }] });

export const operations = {
  "chat_agent.create": async () => {
    engine = of(await desk());
    const agent_name = unique('Writer');
    writer = await chatAgents.create({ response_engine: engine, agent_name, auto_close_message: 'Bye.' });
    assert.match(writer.agent_id, /^agent_[0-9a-f]{26,}$/);
    assert.deepEqual([writer.version, writer.is_published, writer.auto_close_message], [0, false, 'Bye.']);
    assert.deepEqual(writer.response_engine, { ...engine, version: 0 });
  },
  "chat_agent.retrieve": async () => {
    assert.deepEqual(await chatAgents.retrieve(writer.agent_id), writer);
    await unheardOf(agents.retrieve(writer.agent_id));
  },
  "chat_agent.update": async () => {
    const changed = await chatAgents.update(writer.agent_id, { version: 0, end_chat_after_silence_ms: 120_000 });
    assert.deepEqual([changed.end_chat_after_silence_ms, changed.auto_close_message], [120_000, 'Bye.']);
    writer = await chatAgents.retrieve(writer.agent_id);
    assert.deepEqual(writer, changed);
  },
  "chat_agent.list": async () => {
    const channel = { type: 'string', op: 'eq', value: 'chat' };
    const list = (query) => chatAgents.list({ filter_criteria: { channel, query: writer.agent_name }, ...query });
    assert.deepEqual(await walked(list, 'agent_id'), [writer.agent_id]);
    assert.deepEqual(picked((await list({})).items, 'agent_name', 'channel'), [[writer.agent_name, 'chat']]);
  },
  "chat_agent.publish": async () => {
    await chatAgents.publish(writer.agent_id, { version: 0 });
    assert.equal((await chatAgents.retrieve(writer.agent_id)).is_published, true);
    await refused(chatAgents.update(writer.agent_id, { auto_close_message: 'x' }));
  },
  "chat_agent.create_version": async () => {
    const draft = await chatAgents.createVersion(writer.agent_id, { base_version: 0 });
    assert.deepEqual([draft.version, draft.base_version, draft.is_published], [1, 0, false]);
    const changed = await chatAgents.update(writer.agent_id, { auto_close_message: 'Farewell.' });
    assert.deepEqual([changed.version, changed.auto_close_message], [1, 'Farewell.']);
    assert.equal((await chatAgents.retrieve(writer.agent_id, { version: 0 })).auto_close_message, 'Bye.');
  },
  "chat_agent.get_versions": async () => {
    const found = await chatAgents.getVersions(writer.agent_id);
    assert.deepEqual(picked(found, 'version', 'auto_close_message'), [[1, 'Farewell.'], [0, 'Bye.']]);
  },
  "legacy.list_chat_agents": async () => {
    const every = await legacy('/list-chat-agents', { limit: 2 });
    assert.deepEqual(picked(every, 'agent_id', 'version'), [[writer.agent_id, 1], [writer.agent_id, 0]]);
    const [latest] = await legacy('/list-chat-agents', { limit: 1, is_latest: true });
    assert.deepEqual(latest, every[0]);
  },
  "chat_agent.delete_version": async () => {
    await chatAgents.deleteVersion(writer.agent_id, { version: 1 });
    assert.deepEqual(ids(await chatAgents.getVersions(writer.agent_id), 'version'), [0]);
    await lost(chatAgents.deleteVersion(writer.agent_id, { version: 1 }));
  },

  "chat.create": async () => {
    other = await chats.create({ agent_id: writer.agent_id });
    chat = await chats.create({
      agent_id: writer.agent_id,
      agent_version: 0,
      metadata: { customer: [1, null] },
      retell_llm_dynamic_variables: { shop: 'Oak' },
    });
    assert.match(chat.chat_id, /^chat_/);
    assert.deepEqual([chat.chat_status, chat.chat_type, chat.version], ['ongoing', 'api_chat', 0]);
    assert.deepEqual(turns(chat.message_with_tool_calls), [['agent', 'Hello from Oak.']]);
    assert.deepEqual(turns(other.message_with_tool_calls), [['agent', 'Hello from Birch.']]);
    assert.deepEqual(chat.metadata, { customer: [1, null] });
    const { agent_id } = await agents.create({ response_engine: engine, voice_id: 'nobody' });
    await unheardOf(chats.create({ agent_id }));
  },
  "chat.create_chat_completion": async () => {
    const { messages } = await chats.createChatCompletion({ chat_id: chat.chat_id, content: 'A-1001' });
    assert.deepEqual(ids(messages, 'role'), ['tool_call_invocation', 'tool_call_result', 'agent']);
    assert.deepEqual(words(messages), ['It is shipped.']);
    assert.deepEqual([messages[0].name, JSON.parse(messages[0].arguments)], ['find', { number: 'A-1001' }]);
  },
  "chat.retrieve": async () => {
    const found = await chats.retrieve(chat.chat_id);
    assert.equal(found.transcript, 'Agent: Hello from Oak.\nUser: A-1001\nAgent: It is shipped.');
    assert.deepEqual(words(found.message_with_tool_calls, 'user'), ['A-1001']);
    await unheardOf(chats.retrieve('chat_0123456789ab'));
  },
  "chat.update": async () => {
    const change = { metadata: { a: 1 }, custom_attributes: { tier: 'gold' } };
    const changed = await chats.update(chat.chat_id, { ...change, override_dynamic_variables: { shop: 'Elm' } });
    assert.deepEqual([changed.metadata, changed.custom_attributes], [change.metadata, change.custom_attributes]);
    const { messages } = await chats.createChatCompletion({ chat_id: chat.chat_id, content: 'Which shop?' });
    assert.deepEqual(words(messages), ['This is Elm.']);
  },
  "chat.end": async () => {
    await chats.end(other.chat_id);
    const found = await chats.retrieve(other.chat_id);
    assert.equal(found.chat_status, 'ended');
    assert.ok(found.end_timestamp >= found.start_timestamp);
    await unheardOf(chats.createChatCompletion({ chat_id: other.chat_id, content: 'Hello?' }));
  },
  "chat.list": async () => {
    const list = (query) => chats.list({ filter_criteria: mine(), ...query });
    assert.deepEqual(await walked(list, 'chat_id'), [chat.chat_id, other.chat_id]);
    const page = await list({ include_total: true, sort_order: 'ascending' });
    assert.deepEqual([page.total, page.items[0].message_with_tool_calls], [2, undefined]);
    const expected = [[other.chat_id, 'ended'], [chat.chat_id, 'ongoing']];
    assert.deepEqual(picked(page.items, 'chat_id', 'chat_status'), expected);
    const chat_status = { type: 'enum', op: 'in', value: ['ended'] };
    const ended = await chats.list({ filter_criteria: { ...mine(), chat_status } });
    assert.deepEqual(ids(ended.items, 'chat_id'), [other.chat_id]);
  },
  "legacy.list_chat": async () => {
    const found = await legacy('/list-chat', { limit: 2 });
    assert.deepEqual(ids(found, 'chat_id'), [chat.chat_id, other.chat_id]);
    assert.deepEqual(words(found[0].message_with_tool_calls, 'user'), ['A-1001', 'Which shop?']);
  },
  "chat.delete": async () => {
    await chats.delete(chat.chat_id);
    await unheardOf(chats.retrieve(chat.chat_id));
    assert.deepEqual(ids((await chats.list({ filter_criteria: mine() })).items, 'chat_id'), [other.chat_id]);
  },
  "chat_agent.delete": async () => {
    await chatAgents.delete(writer.agent_id);
    await unheardOf(chatAgents.retrieve(writer.agent_id));
    await unheardOf(chats.create({ agent_id: writer.agent_id }));
    assert.equal((await llm.retrieve(engine.llm_id)).version, 0);
  },
};
