// The vendor's own JavaScript SDK drives the server unmodified. Each page prints `ok <page>`; the first failure ends it.
// Needs VIVA_URL (http://127.0.0.1:PORT) and VIVA_KEY in the environment.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import Telnyx from 'telnyx';

const baseURL = `${process.env.VIVA_URL}/v2`;
const client = new Telnyx({ apiKey: process.env.VIVA_KEY, baseURL, maxRetries: 0 });
const { assistants, conversations } = client.ai;
const { tests } = assistants;

const PATIENCE_MS = 30_000;
const MODEL = 'scripted';
const ASKS_FOR_THE_NUMBER =
  'on hear "order": say "What is your order number?"\non hear "A-1001": say "It arrives today."';
const ASKS_BADLY = 'on hear "order": say "Tell me the number."\non hear "A-1001": say "It arrives today."';
const CALLER = 'on start: say "Hi, where is my order?"\non hear "number": say "A-1001"; hang up';
const RUBRIC = [{ name: 'asks', criteria: 'says "order number"' }];

const unique = (word) => `${word} ${randomUUID().slice(0, 12)}`;

const makeTest = (destination, suite) =>
  tests.create({
    name: unique('where is my order'),
    destination,
    instructions: CALLER,
    rubric: RUBRIC,
    telnyx_conversation_channel: 'web_chat',
    test_suite: suite,
  });

const finished = async (run) => {
  const deadline = Date.now() + PATIENCE_MS;
  while (!['passed', 'failed', 'error'].includes(run.status)) {
    assert.ok(Date.now() < deadline, `still ${run.status} after ${PATIENCE_MS} ms`);
    await pause(50);
    run = await tests.runs.retrieve(run.run_id, { test_id: run.test_id });
  }
  return run;
};

const all = async (pages) => {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
};

// The server may tell more of each criterion than the contract does; the SDK must find what the contract names.
const details = (run) => run.detail_status.map(({ name, status }) => ({ name, status }));

const refused = (promise, kind, code) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof kind, `${error}`);
    if (code) assert.deepEqual(error.error.errors.map((one) => one.code), [code]);
    else assert.deepEqual(error.error.detail[0].loc, ['body', 'rubric']);
    return true;
  });

// What the pages hand on to each other, in the order in which they stand.
const suite = unique('a/b suite');
let assistant, candidate, scenario, other, run;

const pages = {
  'create an assistant': async () => {
    assistant = await assistants.create({
      name: unique('clerk'),
      instructions: ASKS_FOR_THE_NUMBER,
      model: MODEL,
      tools: [
        {
          type: 'webhook',
          timeout_ms: 4000,
          webhook: {
            name: 'find_order',
            description: 'Finds an order by its number.',
            url: 'https://shop.example.com/orders/{number}',
            method: 'GET',
            path_parameters: { type: 'object', properties: { number: { type: 'string' } }, required: ['number'] },
          },
        },
      ],
    });
    assert.match(assistant.id, /^assistant-/);
    assert.equal(assistant.instructions, ASKS_FOR_THE_NUMBER);
    assert.equal(assistant.tools[0].type, 'webhook');
    assert.equal(assistant.tools[0].timeout_ms, 4000);
    assert.equal(assistant.tools[0].webhook.name, 'find_order');
  },

  'retrieve an assistant': async () => {
    assert.deepEqual(await assistants.retrieve(assistant.id), assistant);
  },

  'update an assistant': async () => {
    const updated = await assistants.update(assistant.id, { description: 'Knows orders.' });
    assert.equal(updated.description, 'Knows orders.');
    assert.equal(updated.instructions, assistant.instructions);
    assert.notEqual(updated.version_id, assistant.version_id);
    assistant = updated;
  },

  'write a version that is not promoted': async () => {
    const version = await assistants.update(assistant.id, { instructions: ASKS_BADLY, promote_to_main: false });
    candidate = version.version_id;
    assert.notEqual(candidate, assistant.version_id);
    assert.equal((await assistants.retrieve(assistant.id)).instructions, ASKS_FOR_THE_NUMBER);
  },

  'list assistants': async () => {
    const { data } = await assistants.list();
    assert.deepEqual(data.filter((one) => one.id === assistant.id).map((one) => one.name), [assistant.name]);
  },

  'chat': async () => {
    const { id } = await conversations.create({ name: 'chat', metadata: { channel: 'help page' } });
    const said = await assistants.chat(assistant.id, { content: 'Where is my order?', conversation_id: id });
    assert.equal(said.content, 'What is your order number?');
  },

  'chat in a stream': async () => {
    const { id } = await conversations.create({});
    const response = await assistants
      .chat(assistant.id, { content: 'Where is my order?', conversation_id: id, stream: true })
      .asResponse();
    assert.match(response.headers.get('content-type'), /^text\/event-stream/);
    const events = (await response.text())
      .split(/\r?\n\r?\n/)
      .filter((block) => /^data:/m.test(block))
      .map((block) => ({
        name: block.match(/^event: *(.*)$/m)[1].trim(),
        data: JSON.parse(block.match(/^data: *(.*)$/m)[1]),
      }));
    const done = events.pop();
    assert.equal(done.name, 'done');
    assert.equal(done.data.content, 'What is your order number?');
    assert.ok(events.length > 0);
    assert.ok(events.every((event) => event.name === 'delta'));
    assert.equal(events.map((event) => event.data.content).join(''), done.data.content);
  },

  'create a test': async () => {
    scenario = await makeTest(assistant.id, suite);
    other = await makeTest(assistant.id, suite);
    assert.equal(scenario.destination, assistant.id);
    assert.deepEqual(scenario.rubric, RUBRIC);
    assert.deepEqual(await tests.retrieve(scenario.test_id), scenario);
  },

  'update a test': async () => {
    const updated = await tests.update(scenario.test_id, { description: 'The simplest call there is.' });
    assert.deepEqual(updated, { ...scenario, description: 'The simplest call there is.' });
  },

  'list tests by suite': async () => {
    const stray = await makeTest(assistant.id, unique('another suite'));
    const page = await tests.list({ test_suite: suite, 'page[number]': 1, 'page[size]': 1 });
    assert.equal(page.data.length, 1);
    assert.equal(page.meta.page_number, 1);
    assert.equal(page.meta.total_pages, 2);
    const listed = await all(tests.list({ test_suite: suite, 'page[size]': 1 }));
    assert.deepEqual(new Set(listed.map((one) => one.test_id)), new Set([scenario.test_id, other.test_id]));
    await tests.delete(stray.test_id);
  },

  'delete a test': async () => {
    const doomed = await makeTest(assistant.id, unique('doomed'));
    await tests.delete(doomed.test_id);
    await refused(tests.retrieve(doomed.test_id), Telnyx.NotFoundError, '10005');
  },

  'run a test': async () => {
    const triggered = await tests.runs.trigger(scenario.test_id);
    assert.equal(triggered.status, 'pending');
    run = await finished(triggered);
    assert.equal(run.status, 'passed', run.logs);
    assert.deepEqual(details(run), [{ name: 'asks', status: 'passed' }]);
  },

  'run a test against a version': async () => {
    const failed = await finished(await tests.runs.trigger(scenario.test_id, { destination_version_id: candidate }));
    assert.equal(failed.status, 'failed', failed.logs);
    assert.deepEqual(details(failed), [{ name: 'asks', status: 'failed' }]);
  },

  'list runs': async () => {
    await finished(await tests.runs.trigger(scenario.test_id));
    const page = await tests.runs.list(scenario.test_id, { status: 'passed', 'page[number]': 2, 'page[size]': 1 });
    assert.equal(page.data.length, 1);
    assert.equal(page.meta.page_number, 2);
    assert.equal(page.meta.total_pages, 2);
    assert.equal((await all(tests.runs.list(scenario.test_id, { 'page[size]': 1 }))).length, 3);
    const failed = await all(tests.runs.list(scenario.test_id, { status: 'failed' }));
    assert.deepEqual(failed.map((one) => one.status), ['failed']);
  },

  'read the conversation of a run': async () => {
    const { data: conversation } = await conversations.retrieve(run.conversation_id);
    assert.equal(conversation.metadata.telnyx_conversation_channel, 'web_chat');
    const said = (await all(conversations.messages.list(run.conversation_id))).map((one) => `${one.role}: ${one.text}`);
    for (const line of ['user: Hi, where is my order?', 'assistant: What is your order number?', 'user: A-1001']) {
      assert.ok(said.includes(line), `${line} is missing in ${JSON.stringify(said)}`);
    }
  },

  'list suites': async () => {
    assert.ok((await tests.testSuites.list()).data.includes(suite));
  },

  'run a suite': async () => {
    const triggered = await tests.testSuites.runs.trigger(suite);
    assert.deepEqual(
      new Set(triggered.map((one) => one.test_id)),
      new Set([scenario.test_id, other.test_id]),
    );
    const batch = triggered[0].test_suite_run_id;
    assert.ok(batch);
    for (const one of triggered) {
      assert.equal(one.test_suite_run_id, batch);
      assert.equal((await finished(one)).status, 'passed');
    }
    const listed = await all(
      tests.testSuites.runs.list(suite, { test_suite_run_id: batch, status: 'passed', 'page[size]': 1 }),
    );
    assert.deepEqual(new Set(listed.map((one) => one.run_id)), new Set(triggered.map((one) => one.run_id)));
  },

  'run a suite against a version': async () => {
    const triggered = await tests.testSuites.runs.trigger(suite, { destination_version_id: candidate });
    for (const one of triggered) assert.equal((await finished(one)).status, 'failed');
  },

  'not found is an error of its own': () =>
    refused(assistants.retrieve('assistant-nobody'), Telnyx.NotFoundError, '10005'),

  'a wrong key is an error of its own': () =>
    refused(
      new Telnyx({ apiKey: 'not the key', baseURL, maxRetries: 0 }).ai.assistants.list(),
      Telnyx.AuthenticationError,
      '10009',
    ),

  'an unknown version is an error of its own': () =>
    refused(
      tests.runs.trigger(scenario.test_id, { destination_version_id: '20200101T000000000000' }),
      Telnyx.BadRequestError,
      '10015',
    ),

  'a test without a rubric is an error of its own': () =>
    refused(
      tests.create({ name: 'no rubric', destination: assistant.id, instructions: CALLER, rubric: [] }),
      Telnyx.UnprocessableEntityError,
    ),
};

for (const [name, page] of Object.entries(pages)) {
  try {
    await page();
  } catch (error) {
    console.error(`not ok ${name}`);
    throw error;
  }
  console.log(`ok ${name}`);
}
console.log(`${Object.keys(pages).length} pages`);
