/** One full sample of every page, for the view contract and for screenshots. Names are hostile on purpose where it says so. */
import type { ClientCard, PageName, Pages } from '#http/pages.ts'

const logo =
  'data:image/svg+xml,%3Csvg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"%3E%3Ccircle cx="16" cy="16" r="13" fill="%23e4572e"/%3E%3Cpath d="M9 18l5 5 9-12" fill="none" stroke="%23fff" stroke-width="3.5"/%3E%3C/svg%3E'

export const client: ClientCard = {
  name: 'Harbour',
  logo,
  home: 'https://harbour.example/',
  policy: 'https://harbour.example/privacy',
  terms: 'https://harbour.example/terms',
}
const flow = '/interaction/S4mpleUidS4mpleUid123'
const common = { client, action: `${flow}/login`, cancel: `${flow}/cancel` }

export const samples: { readonly [N in PageName]: Pages[N] } = {
  login: { ...common, method: 'basic', username: 'ada', choose: `${flow}/choose` },
  otp: { ...common, action: `${flow}/otp`, account: 'ada', choose: `${flow}/choose` },
  'otp-setup': {
    ...common,
    account: 'ada',
    action: `${flow}/otp/setup`,
    setup: {
      secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP',
      uri: 'otpauth://totp/id.example.org:ada?issuer=id.example.org&secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP',
      picture: logo,
    },
    keep: `${flow}/otp/keep`,
  },
  'otp-codes': {
    client,
    action: `${flow}/otp/codes`,
    codes: Array.from({ length: 10 }, (_, index) => `${1000 + index}-2345-6789`),
  },
  choose: {
    ...common,
    action: `${flow}/choose`,
    providers: [
      { id: 'acme', displayName: 'Acme Corporation' },
      { id: 'uni', displayName: 'University of Lakeside', logo },
      { id: 'globex', displayName: 'Globex' },
    ],
    methods: [{ id: 'basic', href: `${flow}/basic` }],
    email: { action: `${flow}/identify` },
    waiting: 'acme',
  },
  identify: { ...common, action: `${flow}/identify` },
  consent: {
    client,
    account: { name: 'Ada Lovelace' },
    action: `${flow}/consent`,
    cancel: `${flow}/cancel`,
    scopes: [
      {
        name: 'openid',
        displayName: 'Know who you are',
        description: 'An identifier of your account here.',
        required: true,
      },
      {
        name: 'profile',
        displayName: 'See your profile',
        description: 'Such as name, picture, language and date of birth.',
        required: false,
      },
      { name: 'email', displayName: 'See your e-mail address', required: false },
    ],
    claims: [
      { name: 'address', displayName: 'Postal address' },
      { name: 'phone_number', displayName: 'Phone number' },
    ],
    offline: true,
  },
  email: { ...common, action: `${flow}/email` },
  logout: { client, action: '/session/end/confirm', xsrf: 'sample-xsrf' },
  'logged-out': { client },
  'frontchannel-logout': {
    frames: [
      { url: 'https://harbour.example/logout?iss=https%3A%2F%2Fid.example.org&sid=SampleSid', client: 'Harbour' },
      { url: 'https://lake.example/logout?keep=1', client: 'Lakeside' },
    ],
    next: 'https://harbour.example/bye?state=x',
    wait: 3,
  },
  'session-check': { cookie: 'op_bs_3000' },
  error: {
    code: 'access_denied',
    sentence: 'This sign-in took too long and has expired. Please start again.',
    reference: 'K7QMWB4TXA',
    ways: [
      { href: '/authorize?client_id=harbour', label: 'way.restart' },
      { href: 'https://harbour.example/', label: 'way.application' },
    ],
    client,
    detail: 'interaction session not found',
  },
  'auto-post': {
    url: 'https://idp.example/saml/sso',
    fields: { SAMLRequest: 'PHNhbWw+', RelayState: 'a"b<c' },
    to: 'Acme Corporation',
  },
  home: {
    issuer: 'https://id.example.org',
    demo: { client: 'https://id.example.org:3002/', username: 'alice', password: 'wonderland' },
  },
}
