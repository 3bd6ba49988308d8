/** Who may sign in where: administrators from the office network only. */
import type { Hooks } from 'gatehouse/hooks'

const OFFICE = /^(127\.|::1$|10\.1\.)/

export default {
  login(_answer, { account, address, acr }, { log, refuse }) {
    if (account.roles.includes('admin') && !OFFICE.test(address)) refuse('administrators sign in from the office')
    if (account.claims.contract_ended === true) refuse('the contract has ended')
    log('signed in', { acr })
  },
} satisfies Hooks
