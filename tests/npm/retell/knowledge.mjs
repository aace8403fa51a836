// Knowledge bases, voices and the room that there is (contract, section 12).
import assert from 'node:assert/strict';
import { toFile } from 'retell-sdk';
import { client, ids, of, picked, shopURL, unheardOf, until, user } from './support.mjs';

const { agent: agents, concurrency, knowledgeBase: bases, llm, playground, voice } = client;
const TEXT = { title: 'Returns', text: 'You may send shoes back within thirty days.' };
const PARKING = 'Cars are parked behind the house.';

// What the operations hand on to each other, in the order in which they stand.
let base, agent;
const told = async (words) => {
  const turn = await playground.completion(agent, { messages: [user(words)] });
  return turn.knowledge_base_retrieved_contents;
};

export const operations = {
  "knowledge_base.create": async () => {
    base = await bases.create({
      knowledge_base_name: 'Manuals',
      knowledge_base_texts: [TEXT],
      knowledge_base_files: [await toFile(Buffer.from(PARKING), 'parking.md')],
      knowledge_base_urls: [`${shopURL}/vouchers`],
      enable_auto_refresh: true,
      max_chunk_size: 1000,
      min_chunk_size: 100,
    });
    assert.match(base.knowledge_base_id, /^knowledge_base_/);
    assert.deepEqual([base.status, base.knowledge_base_name], ['in_progress', 'Manuals']);
    assert.deepEqual([base.max_chunk_size, base.min_chunk_size, base.enable_auto_refresh], [1000, 100, true]);
    assert.deepEqual(picked(base.knowledge_base_sources, 'type', 'title', 'filename', 'url'), [
      ['text', 'Returns', undefined, undefined],
      ['document', undefined, 'parking.md', undefined],
      ['url', undefined, undefined, `${shopURL}/vouchers`],
    ]);
  },
  "knowledge_base.retrieve": async () => {
    base = await until(async () => {
      const now = await bases.retrieve(base.knowledge_base_id);
      return now.status !== 'in_progress' && now;
    });
    assert.equal(base.status, 'complete');
    const knowledge_base_ids = [base.knowledge_base_id];
    const engine = await llm.create({ start_speaker: 'user', knowledge_base_ids, kb_config: { top_k: 1 } });
    agent = (await agents.create({ response_engine: of(engine), voice_id: 'nobody' })).agent_id;
    assert.deepEqual(await told('Can I send my shoes back?'), [TEXT.text]);
    assert.deepEqual(await told('Where are cars parked?'), [PARKING]);
    assert.deepEqual(await told('Do vouchers expire?'), ['Vouchers never expire.']);
    await unheardOf(bases.retrieve('knowledge_base_0123456789ab'));
  },
  "knowledge_base.list": async () => assert.deepEqual((await bases.list())[0], base),
  "knowledge_base.add_sources": async () => {
    const text = 'Bicycles are repaired on Mondays.';
    const more = await bases.addSources(base.knowledge_base_id, { knowledge_base_texts: [{ title: 'Bikes', text }] });
    assert.deepEqual(ids(more.knowledge_base_sources, 'title').slice(3), ['Bikes']);
    assert.deepEqual(await told('Are bicycles repaired?'), [text]);
    base = more;
  },
  "knowledge_base.delete_source": async () => {
    const { knowledge_base_id, knowledge_base_sources } = base;
    const less = await bases.deleteSource(knowledge_base_sources[0].source_id, { knowledge_base_id });
    assert.deepEqual(less.knowledge_base_sources, knowledge_base_sources.slice(1));
    assert.deepEqual(await told('Can I send my shoes back?'), []);
    await unheardOf(bases.deleteSource(knowledge_base_sources[0].source_id, { knowledge_base_id }));
  },
  "knowledge_base.delete": async () => {
    await bases.delete(base.knowledge_base_id);
    await unheardOf(bases.retrieve(base.knowledge_base_id));
    assert.deepEqual(await told('Do vouchers expire?'), []);
  },

  "concurrency.retrieve": async () => {
    const found = await concurrency.retrieve();
    assert.ok(found.concurrency_limit > 0);
    assert.ok(found.current_concurrency >= 0 && found.current_concurrency < found.concurrency_limit);
  },
  "voice.list": async () => {
    const found = await voice.list();
    assert.ok(found.length > 0);
    assert.ok(found.every((one) => one.voice_id && one.voice_name && one.provider && one.gender));
  },
  "voice.retrieve": async () => {
    const [one] = await voice.list();
    assert.deepEqual(await voice.retrieve(one.voice_id), one);
    await unheardOf(voice.retrieve('nobody'));
  },
};
