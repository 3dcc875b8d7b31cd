// Judges requests as a receiver under Node would. In: a JSON array of {headers, body, apiKey, secret}.
// Out: for each {livekit, standard}: the event's id, or "refused: …".

import { readFileSync } from "node:fs";
import { WebhookReceiver } from "livekit-server-sdk";
import { Webhook } from "standardwebhooks";

async function judge(look) {
  try {
    return (await look()).id;
  } catch (error) {
    return `refused: ${error.message}`;
  }
}

function standardWebhook(secret) {
  return secret.startsWith("whsec_")
    ? new Webhook(secret)
    : new Webhook(Buffer.from(secret, "utf8"), { format: "raw" });
}

const verdicts = [];
for (const { headers, body, apiKey, secret } of JSON.parse(readFileSync(0, "utf8"))) {
  verdicts.push({
    livekit: await judge(() =>
      new WebhookReceiver(apiKey, secret).receive(body, headers.Authorization),
    ),
    standard: await judge(() => standardWebhook(secret).verify(body, headers)),
  });
}
console.log(JSON.stringify(verdicts));
