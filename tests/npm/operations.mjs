// The vendor's own JavaScript SDK calls every operation of the API, and looks at what came of it. Each prints
// `ok <operation>`; the first failure ends it. What this release of the SDK has no method for is asked for by path.
// Needs VIVA_URL (http://127.0.0.1:PORT), VIVA_KEY and VIVA_IMPORT_SECRET (an agent list is at the imports' address).
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import Telnyx from 'telnyx';

const baseURL = `${process.env.VIVA_URL}/v2`;
const client = new Telnyx({ apiKey: process.env.VIVA_KEY, baseURL, maxRetries: 0 });
const { assistants, conversations, tools, mcpServers, integrations, openai } = client.ai;
const { tests, versions, canaryDeploys, scheduledEvents, tags } = assistants;
const { insights, insightGroups, conversationInsights } = conversations;
const secrets = client.integrationSecrets;

const PATIENCE_MS = 30_000;
const GREETS = 'on hear "hello": say "Good day."';
const unique = (word) => `${word}-${randomUUID().slice(0, 12)}`;
const asked = [];

const shop = createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    asked.push({ method: request.method, url: request.url, body: Buffer.concat(parts).toString() });
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ state: 'shipped' }));
  });
});
await new Promise((resolve) => shop.listen(0, '127.0.0.1', resolve));
const shopURL = `http://127.0.0.1:${shop.address().port}`;

const all = async (pages) => {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
};
const ids = (items, key = 'id') => items.map((one) => one[key]);
const gone = (promise) => assert.rejects(promise, Telnyx.NotFoundError);
const until = async (look) => {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < deadline, `nothing after ${PATIENCE_MS} ms: ${look}`);
    await pause(50);
  }
};
const finished = (run) =>
  until(async () => {
    const now = await tests.runs.retrieve(run.run_id, { test_id: run.test_id });
    return ['passed', 'failed', 'error'].includes(now.status) && now;
  });

// What the operations hand on to each other, in the order in which they stand.
const suite = unique('a/b suite');
let clerk, second, candidate, tool, server, conversation, insight, group, scenario, run, event, secret;

const operations = {
  "ai.assistants.create": async () => {
    clerk = await assistants.create({ name: unique('clerk'), instructions: GREETS, model: 'scripted', greeting: 'Hi' });
    second = await assistants.create({ name: unique('second'), instructions: GREETS, model: 'scripted' });
    assert.equal(clerk.instructions, GREETS);
  },
  "ai.assistants.retrieve": async () => assert.deepEqual(await assistants.retrieve(clerk.id), clerk),
  "ai.assistants.update": async () => {
    const updated = await assistants.update(clerk.id, { instructions: 'Frown.', promote_to_main: false });
    candidate = updated.version_id;
    assert.equal((await assistants.retrieve(clerk.id)).instructions, GREETS);
    assert.notEqual(candidate, clerk.version_id);
  },
  "ai.assistants.list": async () => assert.ok(ids((await assistants.list()).data).includes(clerk.id)),

  "ai.assistants.versions.retrieve": async () => {
    assert.equal((await versions.retrieve(candidate, { assistant_id: clerk.id })).instructions, 'Frown.');
  },
  "ai.assistants.versions.update": async () => {
    await versions.update(candidate, { assistant_id: clerk.id, instructions: 'on hear "hello": say "Go away."' });
    assert.match((await versions.retrieve(candidate, { assistant_id: clerk.id })).instructions, /Go away/);
  },
  "ai.assistants.versions.list": async () => {
    assert.deepEqual(ids((await versions.list(clerk.id)).data, 'version_id'), [candidate, clerk.version_id]);
  },
  "ai.assistants.canary_deploys.create": async () => {
    const rules = [{ match: [], serve: { version_id: candidate } }];
    assert.equal((await canaryDeploys.create(clerk.id, { rules })).assistant_id, clerk.id);
    const { id } = await conversations.create({});
    const said = await assistants.chat(clerk.id, { content: 'hello', conversation_id: id });
    assert.equal(said.content, 'Go away.');
    assert.equal((await conversations.retrieve(id)).data.metadata.assistant_version_id, candidate);
  },
  "ai.assistants.canary_deploys.retrieve": async () => {
    assert.equal((await canaryDeploys.retrieve(clerk.id)).rules[0].serve.version_id, candidate);
  },
  "ai.assistants.canary_deploys.update": async () => {
    const rules = [{ serve: { rollout: [{ version_id: candidate, weight: 5 }] } }];
    assert.equal((await canaryDeploys.update(clerk.id, { rules })).rules[0].serve.rollout[0].weight, 5);
  },
  "ai.assistants.canary_deploys.delete": async () => {
    await canaryDeploys.delete(clerk.id);
    await gone(canaryDeploys.retrieve(clerk.id));
  },
  "ai.assistants.versions.promote": async () => {
    assert.equal((await versions.promote(candidate, { assistant_id: clerk.id })).version_id, candidate);
    assert.equal((await assistants.retrieve(clerk.id)).version_id, candidate);
    await versions.promote(clerk.version_id, { assistant_id: clerk.id });
  },
  "ai.assistants.versions.delete": async () => {
    await versions.delete(candidate, { assistant_id: clerk.id });
    await gone(versions.retrieve(candidate, { assistant_id: clerk.id }));
  },

  "ai.assistants.tags.add": async () => {
    assert.deepEqual((await tags.add(clerk.id, { tag: 'a/b c' })).tags, ['a/b c']);
  },
  "ai.assistants.tags.list": async () => assert.ok((await tags.list()).tags.includes('a/b c')),
  "ai.assistants.tags.remove": async () => {
    assert.deepEqual((await tags.remove('a/b c', { assistant_id: clerk.id })).tags, []);
  },

  "ai.assistants.clone": async () => {
    const copy = await assistants.clone(clerk.id);
    assert.notEqual(copy.id, clerk.id);
    assert.equal(copy.instructions, GREETS);
  },
  "ai.assistants.get_texml": async () => assert.match(await assistants.getTexml(clerk.id), new RegExp(clerk.id)),
  "ai.assistants.instructions.enhance": async () => {
    const text = await assistants.instructions.enhance(clerk.id, { instructions: 'Be kind.' });
    const better = typeof text === 'string' ? text : await text.text();
    assert.ok(better.length > 0);
    assert.equal((await assistants.retrieve(clerk.id)).instructions, GREETS);
  },

  "integration_secrets.create": async () => {
    secret = (await secrets.create({ identifier: unique('key'), type: 'bearer', token: 'sk-hidden' })).data;
    assert.ok(!JSON.stringify(secret).includes('sk-hidden'));
  },
  "integration_secrets.list": async () => {
    const listed = await all(secrets.list({ 'page[size]': 100 }));
    assert.ok(ids(listed).includes(secret.id));
    assert.ok(!JSON.stringify(listed).includes('sk-hidden'));
  },
  "integration_secrets.delete": async () => {
    await secrets.delete(secret.id);
    await gone(secrets.delete(secret.id));
  },
  "ai.assistants.imports": async () => {
    const { data } = await assistants.imports({ provider: 'vapi', api_key_ref: process.env.VIVA_IMPORT_SECRET });
    assert.ok(data.length > 0);
    assert.equal((await assistants.retrieve(data[0].id)).import_metadata.import_provider, 'vapi');
  },

  "ai.tools.create": async () => {
    tool = await tools.create({
      type: 'webhook',
      display_name: unique('find order'),
      timeout_ms: 4000,
      webhook: {
        name: 'find_order',
        description: 'Finds an order.',
        url: `${shopURL}/orders/{number}`,
        method: 'GET',
        path_parameters: { type: 'object', properties: { number: { type: 'string' } }, required: ['number'] },
      },
    });
    assert.equal(tool.type, 'webhook');
  },
  "ai.tools.retrieve": async () => assert.deepEqual(await tools.retrieve(tool.id), tool),
  "ai.tools.update": async () => {
    assert.equal((await tools.update(tool.id, { display_name: 'Orders' })).display_name, 'Orders');
  },
  "ai.tools.list": async () => {
    assert.ok(ids(await all(tools.list({ filter: { type: 'webhook', name: 'Orders' } }))).includes(tool.id));
  },
  "ai.assistants.tools.add": async () => {
    await assistants.tools.add(tool.id, { assistant_id: clerk.id });
    const [attached] = (await assistants.retrieve(clerk.id)).tools;
    assert.deepEqual([attached.type, attached.shared], ['webhook', true]);
  },
  "ai.assistants.tools.test": async () => {
    const { data } = await assistants.tools.test(tool.id, { assistant_id: clerk.id, arguments: { number: 'A-1' } });
    assert.deepEqual([data.success, data.status_code], [true, 200]);
    assert.deepEqual(JSON.parse(data.response), { state: 'shipped' });
    assert.ok(asked.some((one) => one.url === '/orders/A-1'));
  },
  "ai.assistants.tools.remove": async () => {
    await assistants.tools.remove(tool.id, { assistant_id: clerk.id });
    assert.deepEqual((await assistants.retrieve(clerk.id)).tools, []);
  },
  "ai.tools.delete": async () => {
    await tools.delete(tool.id);
    await gone(tools.retrieve(tool.id));
  },

  "ai.mcp_servers.create": async () => {
    server = await mcpServers.create({ name: unique('tools'), type: 'http', url: 'https://mcp.example.com/mcp' });
  },
  "ai.mcp_servers.retrieve": async () => assert.deepEqual(await mcpServers.retrieve(server.id), server),
  "ai.mcp_servers.update": async () => {
    assert.deepEqual((await mcpServers.update(server.id, { allowed_tools: ['add'] })).allowed_tools, ['add']);
  },
  "ai.mcp_servers.list": async () => assert.ok(ids(await all(mcpServers.list())).includes(server.id)),
  "ai.mcp_servers.delete": async () => {
    await mcpServers.delete(server.id);
    await gone(mcpServers.retrieve(server.id));
  },

  "ai.integrations.list": async () => assert.ok((await integrations.list()).data.length > 0),
  "ai.integrations.retrieve": async () => {
    const [first] = (await integrations.list()).data;
    assert.deepEqual(await integrations.retrieve(first.id), first);
  },
  "ai.integrations.connections.list": async () => {
    assert.equal((await integrations.connections.list()).data.length, 1);
  },
  "ai.integrations.connections.retrieve": async () => {
    const [made] = (await integrations.connections.list()).data;
    assert.deepEqual((await integrations.connections.retrieve(made.id)).data, made);
  },
  "ai.integrations.connections.delete": async () => {
    const [made] = (await integrations.connections.list()).data;
    await integrations.connections.delete(made.id);
    assert.deepEqual((await integrations.connections.list()).data, []);
  },

  "ai.conversations.create": async () => {
    conversation = await conversations.create({ name: 'talk', metadata: { channel: unique('page') } });
  },
  "ai.assistants.chat": async () => {
    const said = await assistants.chat(clerk.id, { content: 'hello', conversation_id: conversation.id });
    assert.equal(said.content, 'Good day.');
  },
  "ai.conversations.add_message": async () => {
    await conversations.addMessage(conversation.id, { role: 'user', content: 'One thing more.' });
  },
  "ai.conversations.messages.list": async () => {
    const said = await all(conversations.messages.list(conversation.id, { 'page[size]': 1 }));
    assert.deepEqual(said.map((one) => `${one.role}: ${one.text}`), [
      'user: hello',
      'assistant: Good day.',
      'user: One thing more.',
    ]);
  },
  "ai.conversations.retrieve": async () => {
    assert.equal((await conversations.retrieve(conversation.id)).data.metadata.assistant_id, clerk.id);
  },
  "ai.conversations.update": async () => {
    const { data } = await conversations.retrieve(conversation.id);
    const metadata = { ...data.metadata, ai_disabled: 'true' };
    await conversations.update(conversation.id, { metadata });
    await assert.rejects(
      assistants.chat(clerk.id, { content: 'hello', conversation_id: conversation.id }),
      Telnyx.BadRequestError,
    );
  },
  "ai.conversations.list": async () => {
    const { data } = await conversations.list({ 'metadata->assistant_id': `eq.${clerk.id}`, order: 'created_at.desc' });
    assert.equal(data[0].id, conversation.id);
  },

  "ai.conversations.insights.create": async () => {
    insight = (await insights.create({ name: unique('mood'), instructions: 'answer "calm"' })).data;
  },
  "ai.conversations.insights.retrieve": async () => {
    assert.deepEqual((await insights.retrieve(insight.id)).data, insight);
  },
  "ai.conversations.insights.update": async () => {
    assert.equal((await insights.update(insight.id, { name: 'Mood' })).data.name, 'Mood');
  },
  "ai.conversations.insights.list": async () => {
    assert.ok(ids(await all(insights.list({ 'page[size]': 50 }))).includes(insight.id));
  },
  "ai.conversations.insight_groups.insight_groups": async () => {
    group = (await insightGroups.insightGroups({ name: unique('group') })).data;
  },
  "ai.conversations.insight_groups.insights.assign": async () => {
    await insightGroups.insights.assign(insight.id, { group_id: group.id });
    assert.deepEqual(ids((await insightGroups.retrieve(group.id)).data.insights), [insight.id]);
  },
  "ai.conversations.insight_groups.retrieve": async () => {
    assert.equal((await insightGroups.retrieve(group.id)).data.name, group.name);
  },
  "ai.conversations.insight_groups.update": async () => {
    assert.equal((await insightGroups.update(group.id, { description: 'All.' })).data.description, 'All.');
  },
  "ai.conversations.insight_groups.retrieve_insight_groups": async () => {
    assert.ok(ids(await all(insightGroups.retrieveInsightGroups({ 'page[size]': 50 }))).includes(group.id));
  },

  "ai.assistants.tests.create": async () => {
    await assistants.update(clerk.id, { insight_settings: { insight_group_id: group.id } });
    scenario = await tests.create({
      name: unique('greets'),
      destination: clerk.id,
      instructions: 'on start: say "hello"\non hear "Good day": hang up',
      rubric: [{ name: 'greets', criteria: 'says "Good day."' }],
      test_suite: suite,
    });
  },
  "ai.assistants.tests.retrieve": async () => assert.deepEqual(await tests.retrieve(scenario.test_id), scenario),
  "ai.assistants.tests.update": async () => {
    assert.equal((await tests.update(scenario.test_id, { max_duration_seconds: 60 })).max_duration_seconds, 60);
  },
  "ai.assistants.tests.list": async () => {
    assert.deepEqual(ids(await all(tests.list({ test_suite: suite })), 'test_id'), [scenario.test_id]);
  },
  "ai.assistants.tests.runs.trigger": async () => {
    run = await tests.runs.trigger(scenario.test_id);
    assert.equal(run.status, 'pending');
  },
  "ai.assistants.tests.runs.retrieve": async () => {
    run = await finished(run);
    assert.equal(run.status, 'passed', run.logs);
    assert.ok(run.conversation_insights_id);
  },
  "ai.assistants.tests.runs.list": async () => {
    assert.deepEqual(ids(await all(tests.runs.list(scenario.test_id, { status: 'passed' })), 'run_id'), [run.run_id]);
  },
  "ai.assistants.tests.test_suites.list": async () => {
    assert.ok((await tests.testSuites.list()).data.includes(suite));
  },
  "ai.assistants.tests.test_suites.runs.trigger": async () => {
    const [one] = await tests.testSuites.runs.trigger(suite);
    assert.equal((await finished(one)).status, 'passed');
  },
  "ai.assistants.tests.test_suites.runs.list": async () => {
    assert.equal((await all(tests.testSuites.runs.list(suite))).length, 2);
  },
  "ai.conversations.retrieve_conversations_insights": async () => {
    const found = await until(async () => {
      const { data } = await conversations.retrieveConversationsInsights(run.conversation_id);
      return data[0]?.status === 'completed' && data[0];
    });
    assert.equal(found.id, run.conversation_insights_id);
    assert.deepEqual(found.conversation_insights, [{ insight_id: insight.id, result: 'calm' }]);
  },
  "ai.conversations.conversation_insights.retrieve_aggregates": async () => {
    const { data } = await conversationInsights.retrieveAggregates({
      insight_id: insight.id,
      group_by: ['metadata.assistant_id'],
    });
    assert.deepEqual(data.map((one) => one['metadata.assistant_id']), [clerk.id]);
    assert.ok(data[0].record_count >= 1);
  },
  "ai.assistants.tests.delete": async () => {
    await tests.delete(scenario.test_id);
    await gone(tests.retrieve(scenario.test_id));
  },
  "ai.conversations.insight_groups.insights.delete_unassign": async () => {
    await insightGroups.insights.deleteUnassign(insight.id, { group_id: group.id });
    assert.deepEqual((await insightGroups.retrieve(group.id)).data.insights, []);
  },
  "ai.conversations.insight_groups.delete": async () => {
    await insightGroups.delete(group.id);
    await gone(insightGroups.retrieve(group.id));
  },
  "ai.conversations.insights.delete": async () => {
    await insights.delete(insight.id);
    await gone(insights.retrieve(insight.id));
  },
  "ai.conversations.delete": async () => {
    await conversations.delete(conversation.id);
    await gone(conversations.retrieve(conversation.id));
  },

  "ai.assistants.send_sms": async () => {
    const sent = await assistants.sendSMS(clerk.id, {
      from: '+15550000001',
      to: '+15550000002',
      text: 'Your order is ready.',
      should_create_conversation: true,
      conversation_metadata: { order: 'A-1' },
    });
    const { data } = await conversations.retrieve(sent.conversation_id);
    assert.equal(data.metadata.order, 'A-1');
    const [message] = await all(conversations.messages.list(sent.conversation_id));
    assert.deepEqual([message.role, message.text], ['assistant', 'Your order is ready.']);
  },
  "ai.assistants.whatsapp": async () => {
    const body = { from: '+15550000001', to: '+15550000003', content: 'Good news.' };
    const sent = await client.post(`/ai/assistants/${clerk.id}/chat/whatsapp`, { body });
    assert.ok(sent.message_id);
    const { data } = await conversations.retrieve(sent.conversation_id);
    assert.equal(data.metadata.telnyx_conversation_channel, 'whatsapp_chat');
  },
  "ai.assistants.scheduled_events.create": async () => {
    event = await scheduledEvents.create(clerk.id, {
      telnyx_conversation_channel: 'sms_chat',
      telnyx_agent_target: '+15550000001',
      telnyx_end_user_target: '+15550000004',
      scheduled_at_fixed_datetime: new Date(Date.now() + 3_600_000).toISOString(),
      text: 'Still interested?',
    });
    assert.equal(event.status, 'pending');
  },
  "ai.assistants.scheduled_events.retrieve": async () => {
    const found = await scheduledEvents.retrieve(event.scheduled_event_id, { assistant_id: clerk.id });
    assert.deepEqual(found, event);
  },
  "ai.assistants.scheduled_events.list": async () => {
    assert.deepEqual(ids(await all(scheduledEvents.list(clerk.id)), 'scheduled_event_id'), [event.scheduled_event_id]);
  },
  "ai.assistants.scheduled_events.delete": async () => {
    await scheduledEvents.delete(event.scheduled_event_id, { assistant_id: clerk.id });
    await gone(scheduledEvents.retrieve(event.scheduled_event_id, { assistant_id: clerk.id }));
  },

  "ai.openai.list_models": async () => {
    assert.ok(ids((await openai.listModels()).data).includes('scripted'));
  },
  "ai.openai.chat.create_completion": async () => {
    const answer = await openai.chat.createCompletion({
      model: 'scripted',
      messages: [
        { role: 'system', content: GREETS },
        { role: 'user', content: 'hello' },
      ],
    });
    assert.equal(answer.choices[0].message.content, 'Good day.');
  },

  "ai.assistants.delete": async () => {
    assert.equal((await assistants.delete(second.id)).deleted, true);
    await gone(assistants.retrieve(second.id));
  },
  "ai.assistants.deleted.list": async () => {
    const page = await client.get('/ai/assistants/deleted', { query: { 'page[size]': 100 } });
    assert.ok(ids(page.data).includes(second.id));
  },
  "ai.assistants.deleted.get": async () => {
    assert.ok((await client.get(`/ai/assistants/${second.id}/deleted`)).deleted_at);
  },
  "ai.assistants.restore": async () => {
    await client.post(`/ai/assistants/${second.id}/restore`);
    assert.equal((await assistants.retrieve(second.id)).name, second.name);
  },
};

for (const [name, operation] of Object.entries(operations)) {
  try {
    await operation();
  } catch (error) {
    console.error(`not ok ${name}`);
    throw error;
  }
  console.log(`ok ${name}`);
}
shop.close();
console.log(`${Object.keys(operations).length} operations`);
