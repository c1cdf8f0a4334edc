// The leases of several names at once, so that nobody who does the same waits for them in a circle.
import type { LeaseService } from "../core/lease-service.ts";
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";

/** In the order of the names. A name may be given twice. Throws as `LeaseService.acquire`. */
export async function leasesOf(
  leases: LeaseService,
  names: readonly VolumeName[],
  operation: Operation,
): Promise<AsyncDisposableStack> {
  await using stack = new AsyncDisposableStack();
  for (const name of [...new Set(names)].sort()) {
    stack.use(await leases.acquire(`volume:${name}`, "exclusive", operation));
  }
  return stack.move();
}
