// What is said of ids that clients chose for their locks, and that are somebody's already.
import { EngineError } from "../../core/errors.ts";
import type { Lease } from "../../core/lease-service.ts";
import type { LockBond } from "../../core/lock.ts";

/** Two have waited at once by one id, and the other one has the lock: this one's lease is ended. */
export async function givenTwice(lease: Lease): Promise<EngineError> {
  await lease[Symbol.asyncDispose]();
  const words = "id: somebody else has waited by the same one, and has the lock";
  return new EngineError("request.invalid", words, { details: { field: "id" } });
}

/** What an id was given before is not what is asked for now. */
export function givenOtherwise({
  lease: { mode },
  bond,
}: {
  readonly lease: Pick<Lease, "mode">;
  readonly bond: LockBond;
}): EngineError {
  const words = `id: it was given before, with the mode ${mode} and the bond ${bond}`;
  return new EngineError("request.invalid", words, { details: { field: "id" } });
}
