// What the operations of all areas have in common: the client, the scripts, and a web service for tools and pages.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import Retell from 'retell-sdk';

const PATIENCE_MS = 30_000;
export const client = new Retell({ apiKey: process.env.VIVA_KEY, baseURL: process.env.VIVA_URL, maxRetries: 0 });
export const unique = (word) => `${word}-${randomUUID().slice(0, 12)}`;

// What the tools have sent to the shop.
export const asked = [];
export const shop = createServer((request, response) => {
  if (request.method === 'GET') {
    response.setHeader('content-type', 'text/html');
    response.end('<html><body><p>Vouchers never expire.</p></body></html>');
    return;
  }
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    asked.push({ headers: request.headers, body: JSON.parse(Buffer.concat(parts).toString()) });
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ state: 'shipped' }));
  });
});
await new Promise((resolve) => shop.listen(0, '127.0.0.1', resolve));
export const shopURL = `http://127.0.0.1:${shop.address().port}`;

const DESK = [
  'You are the desk of {{shop}}.',
  'on hear "shop": say "This is {{shop}}."',
  'on hear "order": say "What is its number?"',
  'on hear /([A-Z]-[0-9]+)/: call find {"number": "$1"}',
  'on result find: say "It is ${state}."',
  'on hear "bye": say "Goodbye."; call end_call',
].join('\n');
export const FIND = {
  type: 'custom',
  name: 'find',
  description: 'Finds an order.',
  url: `${shopURL}/orders`,
  method: 'POST',
  headers: { 'x-shop': '{{shop}}' },
  parameters: { type: 'object', properties: { number: { type: 'string' } }, required: ['number'] },
  speak_during_execution: false,
  speak_after_execution: true,
};
export const END = { type: 'end_call', name: 'end_call' };

// An engine of prompts that plays the desk.
export const desk = (fields = {}) =>
  client.llm.create({
    start_speaker: 'agent',
    begin_message: 'Hello from {{shop}}.',
    general_prompt: DESK,
    general_tools: [FIND, END],
    default_dynamic_variables: { shop: 'Birch' },
    ...fields,
  });
export const of = (engine) => ({ type: 'retell-llm', llm_id: engine.llm_id });
export const mocked = (state) => ({
  tool_name: 'find',
  input_match_rule: { type: 'partial_match', args: { number: 'A-1001' } },
  output: JSON.stringify({ state }),
});
export const user = (content) => ({ role: 'user', content });
export const words = (messages, role = 'agent') =>
  messages.filter((one) => one.role === role).map((one) => one.content);

export const picked = (items, ...keys) => items.map((one) => keys.map((key) => one[key]));
export const ids = (items, key) => items.map((one) => one[key]);
export const lost = (promise) => assert.rejects(promise, Retell.NotFoundError);
export const unheardOf = (promise) => assert.rejects(promise, Retell.UnprocessableEntityError);
export const refused = (promise) => assert.rejects(promise, Retell.BadRequestError);
export const until = async (look) => {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < deadline, `nothing after ${PATIENCE_MS} ms: ${look}`);
    await pause(50);
  }
};
// The first so many of a list, asked for one by one; all of them where the list is shorter.
export const walked = async (list, key, most = 5) => {
  const found = [];
  for (let pagination_key; found.length < most; ) {
    const page = await list({ limit: 1, ...(pagination_key && { pagination_key }) });
    assert.equal(typeof page.has_more, 'boolean');
    assert.equal(page.has_more, page.pagination_key !== undefined);
    found.push(...ids(page.items, key));
    if (!page.has_more) break;
    assert.equal(page.items.length, 1);
    pagination_key = page.pagination_key;
  }
  assert.equal(new Set(found).size, found.length);
  return found;
};
// A list of before the lists had pages.
export const legacy = async (path, query = {}) => {
  const found = await client.get(path, { query });
  assert.ok(Array.isArray(found));
  return found;
};

// The batch and its runs when all of them are over.
export const complete = async (batch) => {
  const id = batch.test_case_batch_job_id;
  const over = await until(async () => {
    const now = await client.tests.getBatchTest(id);
    return now.status === 'complete' && now;
  });
  assert.equal(over.pass_count + over.fail_count + over.error_count, over.total_count);
  return [over, (await client.tests.listTestRuns(id)).items];
};
// What the agent says first, and where it then stands.
export const opening = async (agentID) => {
  const turn = await client.playground.completion(agentID, { messages: [] });
  return [...words(turn.messages), turn.current_node_id];
};
