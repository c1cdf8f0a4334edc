// What the build knows: the version and the commit, put in by `npm run build`.

declare const HOLDFAST_VERSION: string;
declare const HOLDFAST_COMMIT: string;

/** From package.json; "0.0.0-source" when the sources run as they are. */
export const version = typeof HOLDFAST_VERSION === "string" ? HOLDFAST_VERSION : "0.0.0-source";
/** Short git commit; "source" when the sources run as they are. */
export const gitCommit = typeof HOLDFAST_COMMIT === "string" ? HOLDFAST_COMMIT : "source";
