/** A reporter for `node --test`: nothing but the counts of the file, as one line of JSON. */
import type { TestEvent } from 'node:test/reporters'

export default async function* counts(source: AsyncIterable<TestEvent>) {
  for await (const event of source) if (event.type === 'test:summary') yield `${JSON.stringify(event.data.counts)}\n`
}
