// Definitions, batches and runs (contract, section 2).
import assert from 'node:assert/strict';
import { asked, client, complete, desk, ids, legacy, lost, mocked, of, picked, refused } from './support.mjs';
import { walked, words } from './support.mjs';

const { agent: agents, tests } = client;
const CALLER = 'on start: say "Where is my order?"\non hear "number": say "A-1001"\non hear "It is": say "bye"';

// What the operations hand on to each other, in the order in which they stand.
let engine, plain, other, batch, runs;

export const operations = {
  "tests.create_test_case_definition": async () => {
    engine = of(await desk());
    const given = { response_engine: engine, user_prompt: CALLER, metrics: ['calls the tool find with number "A-1001"'] };
    plain = await tests.createTestCaseDefinition({ name: 'plain', ...given });
    other = await tests.createTestCaseDefinition({ name: 'other', ...given, llm_model: 'scripted' });
    assert.match(plain.test_case_definition_id, /^test_case_[0-9a-f]{12,}$/);
    assert.deepEqual([plain.type, plain.dynamic_variables, plain.tool_mocks], ['simulation', {}, []]);
    assert.deepEqual([plain.llm_model, other.llm_model], ['gpt-4.1', 'scripted']);
    const custom = { type: 'custom-llm', llm_websocket_url: 'wss://example.com' };
    await refused(tests.createTestCaseDefinition({ name: 'x', ...given, response_engine: custom }));
  },
  "tests.get_test_case_definition": async () => {
    assert.deepEqual(await tests.getTestCaseDefinition(plain.test_case_definition_id), plain);
    await lost(tests.getTestCaseDefinition('test_case_0123456789ab'));
  },
  "tests.update_test_case_definition": async () => {
    const change = {
      metrics: ['says "shipped"'],
      tool_mocks: [mocked('lost')],
      dynamic_variables: { shop: 'Oak' },
    };
    const changed = await tests.updateTestCaseDefinition(other.test_case_definition_id, change);
    assert.deepEqual([changed.name, changed.user_prompt], ['other', CALLER]);
    assert.deepEqual([changed.metrics, changed.dynamic_variables], [change.metrics, change.dynamic_variables]);
    other = await tests.getTestCaseDefinition(other.test_case_definition_id);
    assert.deepEqual(other, changed);
  },
  "tests.list_test_case_definitions": async () => {
    const found = await walked((query) => tests.listTestCaseDefinitions({ ...engine, ...query }), 'name');
    assert.deepEqual(found, ['other', 'plain']);
  },
  "legacy.list_test_case_definitions": async () => {
    assert.deepEqual(await legacy('/list-test-case-definitions', engine), [other, plain]);
  },
  "tests.create_batch_test": async () => {
    const listed = ids([plain, other, plain], 'test_case_definition_id');
    batch = await tests.createBatchTest({ test_case_definition_ids: listed, response_engine: engine });
    assert.match(batch.test_case_batch_job_id, /^test_batch_[0-9a-f]{12,}$/);
    assert.deepEqual(picked([batch], 'status', 'pass_count', 'fail_count', 'error_count', 'total_count'), [
      ['in_progress', 0, 0, 0, 3],
    ]);
    assert.deepEqual(batch.response_engine, { ...engine, version: 0 });
    await refused(tests.createBatchTest({ test_case_definition_ids: [], response_engine: engine }));
  },
  "tests.get_batch_test": async () => {
    [batch, runs] = await complete(batch);
    const explained = ids(runs, 'result_explanation').join('\n');
    assert.deepEqual([batch.pass_count, batch.fail_count, batch.error_count], [2, 1, 0], explained);
    await lost(tests.getBatchTest('test_batch_0123456789ab'));
  },
  "tests.list_test_runs": async () => {
    assert.deepEqual(ids(runs, 'status'), ['pass', 'fail', 'pass']);
    const list = (query) => tests.listTestRuns(batch.test_case_batch_job_id, query);
    assert.deepEqual(await walked(list, 'test_case_job_id'), ids(runs, 'test_case_job_id'));
  },
  "legacy.list_test_runs": async () => {
    assert.deepEqual(await legacy(`/list-test-runs/${batch.test_case_batch_job_id}`), runs);
  },
  "tests.get_test_run": async () => {
    const [passed, failed] = runs;
    assert.deepEqual(await tests.getTestRun(passed.test_case_job_id), passed);
    assert.deepEqual(await tests.getTestRun(failed.test_case_job_id), failed);
    const { transcript, dynamicVariables } = passed.transcript_snapshot;
    assert.deepEqual(words(transcript), ['Hello from Birch.', 'What is its number?', 'It is shipped.', 'Goodbye.']);
    assert.deepEqual(words(transcript, 'user'), ['Where is my order?', 'A-1001', 'bye']);
    assert.equal(dynamicVariables.shop, 'Birch');
    assert.deepEqual(failed.test_case_definition_snapshot, other);
    assert.match(failed.result_explanation, /says "shipped"/);
    const told = failed.transcript_snapshot.transcript;
    assert.deepEqual(words(told)[0], 'Hello from Oak.');
    assert.equal(words(told, 'tool_call_result')[0], '{"state":"lost"}');
    // The runs without a mock, and only these, have really asked the shop.
    const sent = asked.map(({ body, headers }) => [body.name, body.args, headers['x-shop']]);
    assert.deepEqual(sent, Array(2).fill(['find', { number: 'A-1001' }, 'Birch']));
    assert.match(asked[0].headers['x-retell-signature'], /^v=\d+,d=[0-9a-f]{64}$/);
    await lost(tests.getTestRun('test_job_0123456789ab'));
  },
  "tests.list_batch_tests": async () => {
    assert.deepEqual((await tests.listBatchTests(engine)).items, [batch]);
    const { agent_id } = await agents.create({ response_engine: engine, voice_id: 'nobody' });
    await agents.createVersion(agent_id, { base_version: 0 });
    // The batch was of version 0, and the latest is 1 now.
    assert.deepEqual((await tests.listBatchTests(engine)).items, []);
    const list = (query) => tests.listBatchTests({ ...engine, version: 0, ...query });
    assert.deepEqual(await walked(list, 'test_case_batch_job_id'), [batch.test_case_batch_job_id]);
  },
  "legacy.list_batch_tests": async () => {
    assert.deepEqual(await legacy('/list-batch-tests', { ...engine, version: 0 }), [batch]);
    assert.deepEqual(await legacy('/list-batch-tests', engine), []);
  },
  "tests.delete_test_case_definition": async () => {
    await tests.deleteTestCaseDefinition(other.test_case_definition_id);
    await lost(tests.getTestCaseDefinition(other.test_case_definition_id));
    assert.deepEqual(ids((await tests.listTestCaseDefinitions(engine)).items, 'name'), ['plain']);
    assert.deepEqual(await tests.getTestRun(runs[1].test_case_job_id), runs[1]);
  },
};
