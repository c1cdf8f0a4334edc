// What is counted of locks since the start, for the metrics.

export class LockFigures {
  grantCount = 0;
  /** Not renewed in time. */
  expiredCount = 0;
  stolenCount = 0;
  /** Ended by the kernel's word that their process, or their connection, has ended. */
  bondEndCount = 0;
  /** Of those who got it in the end. */
  waitedSeconds = 0;

  granted(waitedMs: number): void {
    this.grantCount += 1;
    this.waitedSeconds += waitedMs / 1_000;
  }
}
