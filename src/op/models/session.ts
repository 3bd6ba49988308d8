/** Sessions know where the person came from, and name each client's view of them by a value that does not change. */
import type { Seams, SessionExtras } from '../seams.ts'
import { type Instance, type Original, running, withPayload } from './model.ts'

type Login = Parameters<Instance<'Session'>['loginAccount']>[0]

interface Overridden extends SessionExtras {
  ensureClientContainer(clientId: string): void
  loginAccount(details: Login): void
}

export const sessionClass = (Above: Original<'Session', Overridden>, seams: Pick<Seams, 'sid' | 'now'>) =>
  class Session extends Above {
    static override get IN_PAYLOAD() {
      return withPayload(Above, 'upstream', 'ways', 'signedInAt')
    }

    /** ENGINE 13: parallel first requests of one client must see the same sid. */
    override ensureClientContainer(clientId: string): void {
      if (!this.sidFor(clientId)) this.sidFor(clientId, seams.sid(this.uid, clientId))
    }

    override loginAccount(details: Login): void {
      // Each further prompt of a request hands the same login in again.
      const same = this.accountId === details.accountId && this.loginTs === details.loginTs
      if (!same || this.signedInAt === undefined) this.signedInAt = seams.now()
      super.loginAccount(details)
      const result = running()?.entities.Interaction?.result as Pick<SessionExtras, 'upstream' | 'ways'> | undefined
      this.ways = result?.ways
      this.upstream = result?.upstream
    }
  }
