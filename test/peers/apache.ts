/** Debian's Apache with mod_auth_openidc, a certified relying party, with a configuration of its own on a loopback port. */
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const program = process.env.GATEHOUSE_TEST_APACHE
const modules = process.env.GATEHOUSE_TEST_APACHE_MODULES ?? ''
const START_MS = 10_000

/** For `{ skip }` of node:test: the reason, or false when Apache is here. */
export const noApache: string | false = program ? false : 'Apache with mod_auth_openidc is not here'

export interface Apache {
  readonly url: string
  readonly redirectUri: string
  log(): string
  close(): Promise<void>
}

export interface RelyingParty {
  readonly port: number
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  /** How browsers name it; 127.0.0.1 unless told. */
  readonly host?: string
  /** Further markup of the page behind the login. */
  readonly markup?: string
  /** Further directives of mod_auth_openidc. */
  readonly directives?: readonly string[]
}

const names = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'dir', 'mime', 'include', 'auth_openidc']
const claims = ['sub', 'email', 'name', 'preferred_username', 'acr', 'amr', 'idp', 'iss']

const urlOf = ({ port, host = '127.0.0.1' }: RelyingParty): string => `http://${host}:${port}`

const configuration = (folder: string, party: RelyingParty): string => `
ServerRoot ${folder}
ServerName 127.0.0.1
Listen 127.0.0.1:${party.port}
PidFile ${folder}/pid
ErrorLog ${folder}/error.log
LogLevel warn auth_openidc:info
Mutex file:${folder}/cache default
StartServers 1
ServerLimit 1
ThreadsPerChild 8
MaxRequestWorkers 8
${names.map((name) => `LoadModule ${name}_module ${modules}/mod_${name}.so`).join('\n')}
User www-data
Group www-data
TypesConfig /etc/mime.types
DocumentRoot ${folder}/htdocs
DirectoryIndex index.shtml
AddType text/html .shtml
AddOutputFilter INCLUDES .shtml
OIDCProviderMetadataURL ${party.issuer}/.well-known/openid-configuration
OIDCClientID ${party.clientId}
OIDCClientSecret ${party.clientSecret}
OIDCRedirectURI ${urlOf(party)}/callback
OIDCCryptoPassphrase only-for-this-test
OIDCScope "openid profile email"
OIDCResponseType code
OIDCPKCEMethod S256
OIDCSessionType server-cache
OIDCCacheType file
OIDCCacheDir ${folder}/cache
${(party.directives ?? []).join('\n')}
<Directory ${folder}/htdocs>
  Options +Includes
  Require all granted
</Directory>
<Location /secret>
  AuthType openid-connect
  Require valid-user
</Location>
<Location /callback>
  AuthType openid-connect
  Require valid-user
</Location>
`

/** A page that shows the claims it was given, one `<code id="claim">` each. */
const page = `<!doctype html><title>secret</title>
${claims.map((claim) => `<code id="${claim}"><!--#echo var="OIDC_CLAIM_${claim}" --></code>`).join('\n')}\n`

const canConnect = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

/** Starts it. The page behind the login is `url`/secret/. Throws with Apache's log when it does not come up. */
export const openApache = async (party: RelyingParty): Promise<Apache> => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-apache-'))
  // Apache's workers run as www-data.
  chmodSync(folder, 0o755)
  for (const name of ['cache', 'htdocs', 'htdocs/secret', 'htdocs/out']) {
    mkdirSync(join(folder, name))
    chmodSync(join(folder, name), name === 'cache' ? 0o777 : 0o755)
  }
  writeFileSync(join(folder, 'htdocs/secret/index.shtml'), page + (party.markup ?? ''))
  writeFileSync(
    join(folder, 'htdocs/out/index.shtml'),
    '<!doctype html><title>out</title><p id="out">Signed out.</p>\n',
  )
  writeFileSync(join(folder, 'httpd.conf'), configuration(folder, party))
  // In this process's group: the test runner kills it should this test die.
  const child = spawn(program ?? '', ['-f', join(folder, 'httpd.conf'), '-DFOREGROUND'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let output = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const log = () => {
    try {
      return output + readFileSync(join(folder, 'error.log'), 'utf8')
    } catch {
      return output
    }
  }
  const deadline = Date.now() + START_MS
  while (!(await canConnect(party.port))) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`Apache did not start:\n${log()}`)
    await sleep(50)
  }
  return {
    url: urlOf(party),
    redirectUri: `${urlOf(party)}/callback`,
    log,
    async close() {
      child.kill('SIGTERM')
      await exit
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
