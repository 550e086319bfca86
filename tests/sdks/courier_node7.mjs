// npm @trycourier/courier 7.x: call every profile method and print its name.
import assert from "node:assert/strict";
import Courier from "@trycourier/courier";

const client = new Courier({ apiKey: process.env.COURIER_KEY, baseURL: `${process.env.COURIER_URL}/` });
const { profiles } = client;
const id = "node7/a b%2Fc";
const success = { status: "SUCCESS" };

assert.deepEqual(await profiles.create(id, { profile: { email: "a@example.com", slack: { channel: "C1" } } }), success);
await profiles.create(id, { profile: { phone_number: "555-555-5555", slack: { access_token: "x" } } });
assert.deepEqual(await profiles.retrieve(id), {
  profile: { email: "a@example.com", phone_number: "555-555-5555", slack: { channel: "C1", access_token: "x" } },
  preferences: { categories: {}, notifications: {} },
});
assert.deepEqual(await profiles.replace(id, { profile: { name: "A", custom: { n: [1, null] } } }), success);
await profiles.update(id, { patch: [{ op: "replace", path: "/name", value: "B" }] });
assert.deepEqual((await profiles.retrieve(id)).profile, { name: "B", custom: { n: [1, null] } });

const preferences = { categories: { c: { status: "OPTED_OUT" } } };
const lists = { lists: [{ listId: "example.news", preferences }, { listId: "17" }] };
assert.deepEqual(await profiles.lists.subscribe(id, lists), success);
const page = await profiles.lists.retrieve(id, { cursor: "" });
assert.deepEqual(page.results.map((one) => one.id), ["17", "example.news"]);
assert.deepEqual(page.results[1].preferences, preferences);
assert.deepEqual(await profiles.lists.delete(id), success);
assert.deepEqual((await profiles.lists.retrieve(id)).results, []);

const once = { headers: { "Idempotency-Key": id.replaceAll(/\W/g, "-") } };
await profiles.create(id, { profile: { name: "once" } }, once);
await profiles.create(id, { profile: { name: "once" } }, once);
await assert.rejects(profiles.create(id, { profile: { name: "twice" } }, once), Courier.ConflictError);
await assert.rejects(profiles.update(id, { patch: [{ op: "remove", path: "/nowhere", value: "" }] }), Courier.BadRequestError);
await profiles.delete(id);
await profiles.delete(id);
await assert.rejects(profiles.retrieve(id), Courier.NotFoundError);

const methods = (resource) => Object.getOwnPropertyNames(Object.getPrototypeOf(resource)).filter((name) => name !== "constructor");
const called = ["create", "delete", "replace", "retrieve", "update"];
const listed = ["delete", "retrieve", "subscribe"];
assert.deepEqual(methods(profiles).sort(), called);
assert.deepEqual(methods(profiles.lists).sort(), listed);
console.log([...called, ...listed.map((name) => `lists.${name}`)].join(" "));
