// Files of leases in memory, which a test can lose, damage, slow down and fill.
import type { FenceFile } from "../../src/cluster/fences.ts";
import type { JournalFile } from "../../src/cluster/lease-journal.ts";

/** A journal whose text outlives the daemons that write it. */
export class MemoryJournal implements JournalFile {
  text: string | undefined;
  /** Gets what is to be written, and returns what is; what it throws is what happened. */
  onWrite: (text: string, isAnew: boolean) => string = (text) => text;

  read(): string | undefined {
    return this.text;
  }

  append(text: string): void {
    const written = this.onWrite(text, false);
    this.text = (this.text ?? "") + written;
  }

  replace(text: string): void {
    this.text = this.onWrite(text, true);
  }

  close(isOver: boolean): void {
    if (isOver) this.text = undefined;
  }
}

/** A mark of fences whose text outlives the daemons that write it. */
export class MemoryFenceFile implements FenceFile {
  text: string | undefined;
  /** Awaited before each write. */
  beforePut: () => Promise<void> = async () => {};

  read(): string | undefined {
    return this.text;
  }

  async put(text: string): Promise<void> {
    await this.beforePut();
    this.text = text;
  }
}
