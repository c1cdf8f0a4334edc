// rclone is killed again and again within milliseconds of a close.
import { whenPossible } from "../support/needs.ts";
import { killRounds } from "../support/rclone-kills.ts";

whenPossible(
  ["root", "mount", "fuse", "rclone"],
  "30 rounds: what was closed before rclone was killed is on the server, byte for byte",
  async () => {
    const cutCount = await killRounds(30);
    console.log(`${cutCount} notes were cut short`);
  },
  300_000,
);
