// The lease of the secret that a volume's options name, for as long as they come into force: a
// removal of the secret waits, and then finds the volume.
import type { DriverOptions, VolumeDriver } from "../core/driver.ts";
import type { Lease, LeaseService } from "../core/lease-service.ts";
import type { Operation } from "../core/operation.ts";

/** The option by which volumes name their secret. */
export const SECRET_OPTION = "secret";

/**
 * Shared; undefined: they name none, or it is a plugin's own word. Taken after the volume's lease.
 * Throws as `LeaseService.acquire`.
 */
export async function secretLease(
  leases: LeaseService,
  driver: Pick<VolumeDriver, "isPlugin">,
  options: DriverOptions | null,
  operation: Operation,
): Promise<Lease | undefined> {
  const secret = options?.[SECRET_OPTION];
  if (secret === undefined || driver.isPlugin === true) return undefined;
  return await leases.acquire(`secret:${secret}`, "shared", operation);
}
