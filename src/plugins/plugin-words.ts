// What plugins say in their own words when they do not know a volume.
//
// The protocol has no code for it. A plugin's text is never believed alone: a volume counts as
// absent only if Get is denied with one of these and a List that succeeds does not have it. Every
// other text means "unknown".

/** Each with a plugin, or a kit for plugins, that says it so. */
const denials: readonly RegExp[] = [
  // Docker's own text, which many copy: local-persist, go-plugins-helpers' examples.
  /\bno such volume\b/i,
  // rclone (`volume not found`), vieux/sshfs (`volume NAME not found`), REX-Ray, GlusterFS.
  /\bnot found\b/i,
  // Convoy, ContainX/docker-volume-netshare.
  /\b(?:could not|couldn'?t|cannot|can'?t|unable to|failed to) find\b/i,
  // Portworx, Flocker.
  /\b(?:does not|doesn'?t|not) exists?\b/i,
  // Plugins that answer with what the system said of a directory.
  /\bno such file or directory\b/i,
  // Small ones, such as those in the recordings of the tests.
  /\bunknown (?:volume\b|to\b)/i,
  /\bno volume\b/i,
];

/** Whether an `Err` may mean that there is no such volume; see above for what it is worth. */
export function deniesVolume(words: string): boolean {
  return denials.some((denial) => denial.test(words));
}
