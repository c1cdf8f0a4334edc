// Sentences of core/driver.ts beside its members that have no check, each with the reason.
//
// A sentence there is in a check or here: test/conformance.test.ts compares.

export interface UncheckedPromise {
  readonly promise: string;
  /** Why no check proves it, or what proves it instead. */
  readonly why: string;
}

export const uncheckedDriverPromises: readonly UncheckedPromise[] = [
  {
    promise:
      "Of all that the storage has, as it says itself; undefined: it does not, or was not asked.",
    why: "a definition; what storage says of its room is true or invented, and nobody can tell",
  },
  { promise: "What can still be written.", why: "a definition" },
  {
    promise:
      "Throws `volume.in_use` where a purge of this volume would refuse, if it lay in the trash: " +
      "asked before a removal for good of what nobody holds.",
    why: "needs a mount namespace; proven by the tests of src/remote that run as root",
  },
  { promise: "Missing: the engine looks by itself.", why: "a definition" },
  {
    promise:
      "Whether what is mounted has died, as far as this machine's own notes tell: the process " +
      "that serves it is gone.",
    why: "needs a process that can be killed; proven by the tests of the drivers that have one",
  },
  {
    promise:
      "It is asked every second of each volume that somebody has, so it costs no more than two " +
      "small files in memory; no storage, no helper.",
    why: "what a function looks at cannot be seen from outside; it is synchronous",
  },
  {
    promise: "Never throws.",
    why: "of a note that cannot be read; proven by the tests of the drivers that keep one",
  },
  { promise: "Missing: only `check` can tell.", why: "a definition" },
  {
    promise:
      "How often this life of the driver has mounted the volume anew: where it is another number " +
      "than before, who had the volume before has an earlier mount, which may look just like the " +
      "one that is there now (clients of one server share a file system).",
    why: "a count that only the engine compares; proven by its tests over a driver that counts",
  },
  {
    promise: "Missing: nobody counts, and each new mount looks different.",
    why: "a definition",
  },
  {
    promise: "That takes effect as other options do.",
    why: "which value is in effect cannot be seen here; proven by the tests of src/remote",
  },
  { promise: "Milliseconds since the epoch.", why: "a unit, not a promise" },
  {
    promise:
      '"adopted": it was there before; it may be somebody else\'s data and is never destroyed.',
    why: "a definition; the check of `destroy` with a planted volume proves what follows from it",
  },
  { promise: "Recovery compares it.", why: "a promise of the engine" },
  {
    promise: "What a plugin says of it in words of its own (Docker's `Status`); missing: nothing.",
    why: "whatever a plugin says; only the engine's inspect shows it",
  },
  { promise: '"global": every host sees the same volumes.', why: "a check sees one host only" },
  {
    promise:
      "It speaks Docker's volume plugin protocol, which has no words for options, times of " +
      "creation, identities and what was there before: records have none, `create` never throws " +
      '`volume.exists_differently`, and what cannot be told from a failure is "unknown".',
    why: "a definition; what does not apply then says so, and plugins have checks of their own",
  },
  {
    promise: "Pure: it looks at nothing but its argument.",
    why: "what a function looks at cannot be seen from outside; it is synchronous and has no host",
  },
  { promise: "The only removal that recovery may call.", why: "a promise of the engine" },
  {
    promise: "Its purge has begun: it is not whole any more, and cannot be restored.",
    why: "a definition; the checks of `restore` and `purge` prove what follows from it",
  },
  {
    promise: "On a full file system it works without the description.",
    why: "needs a full file system; proven by the local driver's tests that run as root",
  },
  {
    promise: "Refuses with `volume.in_use` what a mount in any mount namespace still shows.",
    why: "needs a mount namespace; proven by the local driver's tests that run as root",
  },
  {
    promise:
      "Throws `volume.in_use` where `purge` would, and does nothing else, so that nothing is " +
      "given up that cannot be destroyed.",
    why: "needs a mount namespace; proven by the local driver's tests that run as root",
  },
  {
    promise: "Of a sparse file only what is stored counts: it is what a purge frees.",
    why: "storage may know no holes; proven by the local driver's tests",
  },
  {
    promise: "`isUrgent` may be asked at any time: whether somebody waits for it just now.",
    why: "says what is meant; what is done with it is a matter of speed",
  },
  { promise: "Missing: nobody can look before.", why: "says what is meant" },
  { promise: "Of the file system that the trash lies on.", why: "says what is meant" },
  { promise: "What others than root may still write there.", why: "says what is meant" },
  {
    promise: "How many files the file system can have; 0: as many as there is room for.",
    why: "says what is meant",
  },
  { promise: "How many of them can still be made.", why: "says what is meant" },
  {
    promise:
      "What is beside the data of those in `known` need not be read: their `description` may be " +
      "null.",
    why: "may, not must",
  },
  { promise: "What only some storage can do.", why: "a heading" },
  {
    promise:
      "Everything `create` makes can be made again from the record: no journal row is needed.",
    why: "a heading; the checks of `rebuild` prove it for what the record says",
  },
  { promise: "Out of sight and back in O(1), on the same storage.", why: "a heading" },
  { promise: "Only where the storage itself can refuse a host.", why: "a heading" },
  {
    promise:
      "null where the data is on storage that the volume only points to, which is not measured.",
    why: "a bench has no other storage to point to; proven by the tests of the local driver",
  },
  {
    promise:
      "When what stands under the name was last moved or changed as a whole, in milliseconds " +
      "since the epoch (a directory's change time); 0 when the driver cannot say, or nothing is " +
      "there.",
    why: "storage stamps with a clock of its own; the tests of recovery prove what it is for",
  },
  {
    promise: "Takes time that does not depend on its size.",
    why: "a matter of measurement: the row `remove-large` of bench/ has 20,000 files against none",
  },
  {
    promise: "Returns when that survives a power cut.",
    why: "needs a power cut; proven by test/crash for the local driver",
  },
  {
    promise: "It never crosses into another file system.",
    why: "needs a mount inside a volume; proven by the local driver's tests that run as root",
  },
  {
    promise: "Yields to other work while it walks.",
    why: "how long is too long depends on the machine; a matter of measurement",
  },
  { promise: "Cost grows with the number of files.", why: "a warning, not a promise" },
  { promise: "Storage that may fall silent, and is looked at for that.", why: "a heading" },
  {
    promise: "The same storage can be looked at as another client would see it.",
    why: "a heading; the facet's own promises are in core/second-mount.ts",
  },
  {
    promise: "What is written reaches the storage later than its writer is told.",
    why: "a heading",
  },
  {
    promise: 'One line, without secrets; "" where there is nothing to say.',
    why: "what a driver has to say depends on its storage; proven by the tests of each",
  },
  {
    promise:
      "How long the storage took to answer, in milliseconds; null: it was not asked, or did not.",
    why: "a unit, not a promise",
  },
  {
    promise: "What is not on the storage yet; undefined: everything is, or nobody knows.",
    why: "a bench cannot hold back what is written; proven by the tests of src/remote",
  },
  {
    promise:
      'What fails together, in a word or two for people (`10.0.0.5`, `s3:bucket`). "" for ' +
      "volumes that are on this machine, which are not looked at.",
    why: "words for people",
  },
  {
    promise: "Pure.",
    why: "what a function looks at cannot be seen from outside; it is synchronous and has no host",
  },
  {
    promise:
      "It does so in a helper process; of those at most one per volume is stuck, and while it is " +
      'the answer is "unreachable" at once.',
    why: "needs storage that hangs; proven by the tests of src/host and of the kinds",
  },
  {
    promise:
      "Afterwards new openings of the path see the storage again; what had files open there has " +
      "lost them.",
    why: "says what is meant; the check of the sentence before proves the first half",
  },
  {
    promise:
      "What is mounted is mounted anew with them as soon as nothing is lost by it: at the latest " +
      "at the next mount.",
    why: "which options are in effect cannot be seen here; proven by the tests of src/remote",
  },
  {
    promise:
      "Whether what is mounted still is as it was before an update, which waits for another mount.",
    why: "which kinds must wait is theirs to say; proven by the tests of src/remote",
  },
  {
    promise: "Asks this machine's own notes alone, never storage.",
    why: "what is asked cannot be seen from outside; it returns at once, without waiting",
  },
  { promise: "Missing: nothing ever waits.", why: "a definition" },
  {
    promise: "Unlike other calls it may come while another one for the volume is in flight.",
    why: "which call meets which is chance; the checks of the engine's health look all the time",
  },
  {
    promise: "It takes long: other calls for the volume may come meanwhile.",
    why: "which call meets which is chance; proven by the tests of rclone",
  },
  {
    promise: "`told` hears what is left.",
    why: "a bench cannot hold back what is written; proven by the tests of src/remote",
  },
];
