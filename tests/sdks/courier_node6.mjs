// npm @trycourier/courier 6.x: call every profile method and print its name.
import assert from "node:assert/strict";
import { CourierClient, CourierError } from "@trycourier/courier";

const client = new CourierClient({ authorizationToken: process.env.COURIER_KEY, baseUrl: process.env.COURIER_URL });
const { profiles } = client;
const id = "node6/a b%2Fc";
const success = { status: "SUCCESS" };

assert.deepEqual(await profiles.create(id, { profile: { email: "a@example.com" } }, { idempotencyKey: "node6" }), success);
await profiles.create(id, { profile: { phone_number: "555-555-5555", apn: "t" } });
assert.deepEqual(await profiles.get(id), {
  profile: { email: "a@example.com", phone_number: "555-555-5555", apn: "t" },
  preferences: { categories: {}, notifications: {} },
});
assert.deepEqual(await profiles.replace(id, { profile: { name: "A", custom: { n: [1, null] } } }), success);
await profiles.mergeProfile(id, { patch: [{ op: "replace", path: "/name", value: "B" }] });
assert.deepEqual((await profiles.get(id)).profile, { name: "B", custom: { n: [1, null] } });

assert.deepEqual(await profiles.subscribeToLists(id, { lists: [{ listId: "example.news" }, { listId: "17" }] }), success);
const page = await profiles.getListSubscriptions(id, { cursor: "" });
assert.deepEqual(page.results.map((one) => one.id), ["17", "example.news"]);
assert.deepEqual(await profiles.deleteListSubscription(id), success);
assert.deepEqual((await profiles.getListSubscriptions(id)).results, []);

const isRefused = (status) => (error) => error instanceof CourierError && error.statusCode === status;
await assert.rejects(profiles.mergeProfile(id, { patch: [{ op: "remove", path: "/nowhere", value: "" }] }), isRefused(400));
await profiles.delete(id);
await assert.rejects(profiles.get(id), isRefused(404));

const called = [
  ...["create", "delete", "deleteListSubscription", "get"],
  ...["getListSubscriptions", "mergeProfile", "replace", "subscribeToLists"],
];
const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(profiles));
assert.deepEqual(methods.filter((name) => name !== "constructor" && !name.startsWith("_")).sort(), called);
console.log(called.join(" "));
