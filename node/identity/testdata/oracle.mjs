// Makes oracle.json: what implementations that are not ours say of numbers and
// domains. Run with Node, after: npm install google-libphonenumber@3.2.47 tr46@6.0.0
import fs from "node:fs";
import tr46 from "tr46";
import libphonenumber from "google-libphonenumber";

const { PhoneNumberUtil, PhoneNumberFormat, PhoneNumberType } = libphonenumber;
const util = PhoneNumberUtil.getInstance();
const typeName = Object.fromEntries(Object.entries(PhoneNumberType).map(([name, value]) => [value, name]));

const phones = [];
function phone(raw, region) {
  let e164 = "", type = "INVALID";
  try {
    const number = util.parse(raw, region);
    if (util.isValidNumber(number)) {
      e164 = util.format(number, PhoneNumberFormat.E164);
      type = typeName[util.getNumberType(number)];
    }
  } catch { /* not a number: stays invalid */ }
  phones.push({ raw, region, e164, type });
}

let seed = 7; // a fixed sequence, so that the file can be made again
const below = (n) => (seed = (seed * 48271) % 2147483647) % n;
const seven = () => Array.from({ length: 7 }, () => below(10)).join("");

const areaCodes = [
  204, 226, 250, 306, 343, 367, 403, 416, 418, 438, 450, 506, 514, 579, 581, 604, 613, 647, 709, 778,
  819, 867, 873, 902, 212, 305, 415, 787, 809, 876, 200, 500, 533, 600, 622, 800, 833, 880, 900, 976,
];
for (const code of areaCodes) {
  for (const write of [
    (n) => `(${code}) ${n.slice(0, 3)}-${n.slice(3)}`,
    (n) => `${code}.${n}`,
    (n) => `1 ${code} ${n}`,
    (n) => `+1${code}${n}`,
  ]) phone(write(seven()), "CA");
}
const regions = "FR BE CH GB DE IT ES MX JP CN IN BR HT MA DZ TN SN CI CM LB VN PT AU NL".split(" ");
for (const region of regions) {
  for (const type of ["FIXED_LINE", "MOBILE", "TOLL_FREE", "PREMIUM_RATE"]) {
    const number = util.getExampleNumberForType(region, PhoneNumberType[type]);
    if (!number?.getNationalNumber()) continue;
    phone(util.format(number, PhoneNumberFormat.INTERNATIONAL), "CA");
    phone(util.format(number, PhoneNumberFormat.NATIONAL), region);
    phone("011 " + util.format(number, PhoneNumberFormat.E164).slice(1), "CA");
  }
}

const domains = [
  "théâtre.québec", "BÜCHER.example", "straße.example", "faß.de", "例え.テスト", "пример.рф", "παράδειγμα.ελ",
  "مثال.example", "דוגמה.example", "உதாரணம்.example", "éà.ça.québec", "ŒUVRE.example", "œuvre.qc.ca",
  "l’île.example", "île-d’orléans.example", "Île-dOrléans.QC.CA", "bu\u0308cher.example", "a\u0300.example",
  "xn--bcher-kva.example", "xn--a.example", "xn--.example", "xn--bcher-kvA.EXAMPLE", "r3---sn.example",
  "-a.example", "a-.example", "a_b.example", "a b.example", "ñandú.example", "ÀÉÎÕÜ.example", "łódź.pl",
  "ıstanbul.example", "ς.example", "ΑΣ.example", "\u0301a.example", "aא.example", "1א.example", "א1.example",
  "🎭.example", "☃.example", "½.example", "é".repeat(30) + ".example", "한국.example", "ไทย.example",
  "a.é.b.example", "é..example", "ǆ.example", "ﷺ.example", "०१.example",
];
const strict = {
  checkBidi: true, checkHyphens: true, checkJoiners: true, useSTD3ASCIIRules: true, verifyDNSLength: true,
};
fs.writeFileSync("oracle.json", JSON.stringify({
  phones,
  domains: domains.map((domain) => ({ in: domain, ascii: tr46.toASCII(domain, strict) ?? "" })),
}).replaceAll("},{", "},\n{") + "\n");
