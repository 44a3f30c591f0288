// Makes vectors.jsonl with the IAB's own library, once:
//
//	npm install @iabgpp/cmpapi@3.2.0 && node vectors.mjs > vectors.jsonl
import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
const { GppModel } = require("@iabgpp/cmpapi");
const inside = (path) => require("./node_modules/@iabgpp/cmpapi/lib/cjs/encoder/" + path);
const { RangeEntry } = inside("datatype/RangeEntry.js");
const { TcfCaV1CoreSegment } = inside("segment/TcfCaV1CoreSegment.js");

// The same numbers each time (mulberry32).
let seed = 5;
const random = () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};
const whole = (n) => Math.floor(random() * n);
const flags = (n) => Array.from({ length: n }, () => random() < 0.5);
const ids = (n, most) => [...new Set(Array.from({ length: whole(n) }, () => 1 + whole(most)))].sort((a, b) => a - b);
const runs = () => {
  const set = new Set();
  for (let i = whole(4); i > 0; i--) {
    const first = 1 + whole(2000);
    for (let id = first; id < first + 1 + whole(60); id++) set.add(id);
  }
  return [...set].sort((a, b) => a - b);
};

for (let n = 0; n < 60; n++) {
  const model = new GppModel();
  const set = (name, value) => model.setFieldValue("tcfcav1", name, value);
  if (n % 10 != 9) {
    set("CmpId", whole(4096));
    set("CmpVersion", whole(4096));
    set("ConsentScreen", whole(64));
    set("ConsentLanguage", ["FR", "EN"][whole(2)]);
    set("VendorListVersion", whole(4096));
    set("TcfPolicyVersion", whole(64));
    set("UseNonStandardStacks", random() < 0.5);
    set("SpecialFeatureExpressConsent", flags(12));
    set("PurposesExpressConsent", flags(24));
    set("PurposesImpliedConsent", flags(24));
    set("VendorExpressConsent", n % 2 ? runs() : ids(30, 1500));
    set("VendorImpliedConsent", n % 3 ? runs() : ids(12, 65000));
    if (n % 6 == 0) set("PubRestrictions", [new RangeEntry(2, 0, ids(9, 500)), new RangeEntry(7, 1, runs())]);
    set("PubPurposesExpressConsent", flags(24));
    set("PubPurposesImpliedConsent", flags(24));
    const custom = whole(8);
    set("NumCustomPurposes", custom);
    set("CustomPurposesExpressConsent", flags(custom));
    set("CustomPurposesImpliedConsent", flags(custom));
    if (n % 4 == 0) set("DisclosedVendors", ids(20, 900));
    set("Created", new Date(Date.UTC(2024, whole(12), 1 + whole(28))));
    set("LastUpdated", new Date(Date.UTC(2026, whole(12), 1 + whole(28))));
  }
  if (n % 3 == 0) model.setFieldValue("uspv1", "Notice", "Y");
  if (n % 5 == 0) model.setFieldValue("usnat", "SaleOptOut", 1);
  if (n % 7 == 0) model.setFieldValue("tcfeuv2", "CmpId", 12);
  const gpp = model.encode();
  const read = new GppModel(gpp);
  console.log(JSON.stringify({ gpp, ids: read.getSectionIds(), canada: read.getSection("tcfcav1") }));
}

// As tools wrote it before the specification had optimised ranges. What was written is
// printed, not what is read: the library runs out of memory on some that it wrote.
for (let n = 0; n < 12; n++) {
  const core = new TcfCaV1CoreSegment();
  const fields = core.buildFields(true);
  const set = (name, value) => fields.get(name).setValue(value);
  set("PurposesExpressConsent", flags(24));
  set("PurposesImpliedConsent", flags(24));
  set("VendorExpressConsent", n % 2 ? runs() : ids(200, 400));
  set("VendorImpliedConsent", ids(5, 60000));
  if (n % 3 == 0) set("PubRestrictions", [new RangeEntry(3, 1, ids(5, 900))]);
  set("Created", new Date(Date.UTC(2022, 1, 2)));
  set("LastUpdated", new Date(Date.UTC(2022, 1, 3)));
  const canada = Object.fromEntries(core.getFieldNames().map((name) => [name, fields.get(name).getValue()]));
  console.log(JSON.stringify({ gpp: "DBABDA~" + core.encodeSegment(fields), ids: [5], canada }));
}
