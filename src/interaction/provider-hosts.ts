/** The hosts that providers claim (CONTRACT 5), kept ready because the guard of every request asks for them. */
import type { Records } from '#directory/records.ts'
import { withoutPort } from '#kernel/network.ts'

export const watchProviderHosts = async (
  records: Pick<Records, 'providers' | 'onChange'>,
): Promise<() => ReadonlySet<string>> => {
  let hosts: ReadonlySet<string> = new Set()
  const read = async () => {
    const providers = await records.providers.all()
    hosts = new Set(providers.filter(({ enabled }) => enabled).flatMap((provider) => provider.hosts.map(withoutPort)))
  }
  await read()
  records.onChange((kind) => {
    // A failed read leaves the hosts as they were; the next change or start reads them again.
    if (kind === 'identityProvider') read().catch(() => undefined)
  })
  return () => hosts
}
