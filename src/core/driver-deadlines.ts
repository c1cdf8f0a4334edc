// How long each call of a driver may take (core/driver.ts).

/**
 * How long each call may take, in milliseconds. Stated once, in data; src/layers/deadline.ts keeps
 * them. The figures of create, mount, unmount and destroy are those of Docker's plugin client.
 */
export const driverDeadlinesMs = {
  create: 120_000,
  get: 10_000,
  list: 10_000,
  forget: 10_000,
  destroy: 60_000,
  mount: 120_000,
  unmount: 60_000,
  rebuild: 10_000,
  retire: 60_000,
  describe: 10_000,
  space: 10_000,
  rename: 60_000,
  movedAtMs: 10_000,
  restore: 60_000,
  purge: 21_600_000,
  refuseShown: 60_000,
  refusePurge: 60_000,
  measure: 600_000,
  setLimit: 60_000,
  raise: 60_000,
  take: 120_000,
  open: 120_000,
  clone: 600_000,
  remove: 60_000,
  check: 10_000,
  heal: 120_000,
  update: 120_000,
  flush: 3_600_000,
} as const;
