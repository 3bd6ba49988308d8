/** Finds what ties the repository to one machine: its folders, and the hosts that packages came from. */
import type { SourceFile } from './imports.ts'

/** Spelled in halves, so that this file passes its own check. */
const hosts = [
  ['registry.', 'npmjs.org'],
  ['registry.', 'yarnpkg.com'],
  ['repo.maven.', 'apache.org'],
  ['repo1.', 'maven.org'],
  ['deb.', 'debian.org'],
  ['security.', 'debian.org'],
  ['proxy.', 'golang.org'],
  ['files.', 'pythonhosted.org'],
].map((halves) => halves.join(''))

const folder = /(?:^|[\s"'`=(:])((?:\/root|\/work|\/home\/[\w.-]+|\/Users\/[\w.-]+)\/[\w.-]+)/m

/** @returns one line for each file that names such a folder or host */
export const addressMistakes = (files: readonly SourceFile[]): string[] =>
  files.flatMap(({ path, text }) => {
    const found = [folder.exec(text)?.[1], ...hosts.filter((host) => text.includes(host))]
    return found.filter((name) => name !== undefined).map((name) => `${path}: names ${name}`)
  })
