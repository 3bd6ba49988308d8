/**
 * The demo (`serve --demo`): what main starts beside Gatehouse. Read configuration.ts for what is set up, and
 * relying-party/index.ts for the application that signs people in.
 */
export { type DemoConfiguration, type DemoPerson, demoConfiguration } from './configuration.ts'
export { type RelyingParty, type RelyingPartyOptions, startRelyingParty } from './relying-party/index.ts'
export { openSeed, type Seed } from './seed.ts'
