// What the server itself says no with: a status and a sentence, before any handler is asked.
import type { Header } from "./message.ts";

/** Thrown by the parser. Answered as JSON, after which the connection is closed. */
export class HttpRefusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "HttpRefusal";
    this.status = status;
  }
}

export function malformed(what: string): HttpRefusal {
  return new HttpRefusal(400, `malformed HTTP request: ${what}`);
}

interface MessageResponse {
  readonly status: number;
  readonly headers: readonly Header[];
  readonly body: string;
}

/** The shape of every error of Docker's API. */
export function messageResponse(status: number, message: string): MessageResponse {
  return {
    status,
    headers: [["Content-Type", "application/json"]],
    body: `${JSON.stringify({ message })}\n`,
  };
}
