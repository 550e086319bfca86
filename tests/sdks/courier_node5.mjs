// npm @trycourier/courier 5.x: call every profile method and print its name.
import assert from "node:assert/strict";
import { CourierClient } from "@trycourier/courier";

const client = CourierClient({ authorizationToken: process.env.COURIER_KEY, baseUrl: process.env.COURIER_URL });
const recipientId = "node5";
const success = { status: "SUCCESS" };

const once = { idempotencyKey: "node5" };
assert.deepEqual(await client.mergeProfile({ recipientId, profile: { email: "a@example.com" } }, once), success);
await client.mergeProfile({ recipientId, profile: { phone_number: "555-555-5555" } });
assert.deepEqual(await client.getProfile({ recipientId }), {
  profile: { email: "a@example.com", phone_number: "555-555-5555" },
  preferences: { categories: {}, notifications: {} },
});
assert.deepEqual(await client.replaceProfile({ recipientId, profile: { name: "A" } }), success);
assert.deepEqual((await client.getProfile({ recipientId })).profile, { name: "A" });

assert.deepEqual(await client.addRecipientToLists({ recipientId, lists: [{ listId: "example.news" }] }), success);
const page = await client.getRecipientSubscriptions({ recipientId });
assert.deepEqual(page.results.map((one) => one.id), ["example.news"]);
assert.equal(page.paging.more, false);
assert.deepEqual(await client.removeRecipientFromAllLists({ recipientId }), success);
assert.deepEqual((await client.getRecipientSubscriptions({ recipientId })).results, []);

await client.deleteProfile({ recipientId });
await assert.rejects(client.getProfile({ recipientId }), (error) => error.message.includes("Profile not found"));

const called = [
  ...["addRecipientToLists", "deleteProfile", "getProfile", "getRecipientSubscriptions"],
  ...["mergeProfile", "removeRecipientFromAllLists", "replaceProfile"],
];
assert.deepEqual(Object.keys(client).filter((name) => /profile|recipient/i.test(name)).sort(), called);
console.log(called.join(" "));
