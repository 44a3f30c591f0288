-- Takes the staged rows into the store: one transaction, whole sets at a time.
-- It is the only writer of people, identities, consents, standing and tickets.
-- The variable "import" holds the identifier of the import.

-- Each person of the file once, with its latest postal code.
CREATE OR REPLACE TEMP TABLE arrivals AS
SELECT kind, value, min(line) AS line,
       coalesce(arg_max(postal_code, line) FILTER (postal_code <> ''), '') AS postal_code
FROM staged
GROUP BY kind, value;

-- The same with their numbers: the one they had, else the next.
CREATE OR REPLACE TEMP TABLE resolved AS
SELECT kind, value, postal_code, known,
       coalesce(known, nextval('person_numbers')) AS person
FROM (SELECT a.*, i.person AS known
      FROM arrivals a
      LEFT JOIN identities i ON i.principal AND i.kind = a.kind AND i.value = a.value
      ORDER BY a.line);

INSERT INTO people
SELECT person, postal_code, getvariable('import')
FROM resolved
WHERE known IS NULL
ORDER BY person;

UPDATE people
SET postal_code = r.postal_code
FROM resolved r
WHERE people.person = r.known AND r.postal_code <> '' AND people.postal_code <> r.postal_code;

INSERT INTO identities
SELECT person, kind, value, true
FROM resolved
WHERE known IS NULL
ORDER BY person;

INSERT INTO identities
SELECT DISTINCT r.person, 'phone', s.phone, false
FROM staged s JOIN resolved r USING (kind, value)
WHERE s.phone <> ''
EXCEPT
SELECT person, kind, value, principal FROM identities WHERE NOT principal;

-- Consents that were not on record yet.
CREATE OR REPLACE TEMP TABLE said AS
SELECT DISTINCT r.person, c.purpose, c.granted, c.said_at
FROM staged_consents c JOIN staged s USING (line) JOIN resolved r USING (kind, value)
EXCEPT
SELECT person, purpose, granted, said_at FROM consents;

INSERT INTO consents
SELECT person, purpose, granted, said_at, getvariable('import')
FROM said
ORDER BY person, said_at;

MERGE INTO standing
USING (SELECT person, purpose,
              coalesce(max(said_at) FILTER (granted), '-infinity') AS granted_at,
              coalesce(max(said_at) FILTER (NOT granted), '-infinity') AS withdrawn_at
       FROM said
       GROUP BY person, purpose
       ORDER BY person) AS new
ON standing.person = new.person AND standing.purpose = new.purpose
WHEN MATCHED AND (new.granted_at > standing.granted_at OR new.withdrawn_at > standing.withdrawn_at)
THEN UPDATE SET granted_at = greatest(standing.granted_at, new.granted_at),
                withdrawn_at = greatest(standing.withdrawn_at, new.withdrawn_at)
WHEN NOT MATCHED THEN INSERT (person, purpose, granted_at, withdrawn_at)
     VALUES (new.person, new.purpose, new.granted_at, new.withdrawn_at);

-- Exports overlap: a line already on record must not count twice, yet an order
-- may hold several equal lines. So the nth of the equal lines of this file is
-- new only if fewer than n were known.
INSERT INTO tickets
WITH arriving AS (
    SELECT r.person, s.order_code, s.event, s.discipline, s.venue, s.venue_key, s.day, s.quantity, s.cents, s.line,
           row_number() OVER (PARTITION BY r.person, s.order_code, s.event, s.venue_key, s.day, s.quantity, s.cents ORDER BY s.line) AS nth
    FROM staged s JOIN resolved r USING (kind, value)
    WHERE s.quantity IS NOT NULL
), known AS (
    SELECT person, order_code, event, venue_key, day, quantity, cents, count(*) AS copies
    FROM tickets
    WHERE person IN (SELECT known FROM resolved WHERE known IS NOT NULL)
    GROUP BY ALL
)
SELECT a.person, a.order_code, a.event, a.discipline, a.venue, a.venue_key, a.day, a.quantity, a.cents, getvariable('import')
FROM arriving a
LEFT JOIN known k
  ON k.person = a.person AND k.order_code = a.order_code AND k.event = a.event AND k.venue_key = a.venue_key
 AND k.day IS NOT DISTINCT FROM a.day AND k.quantity = a.quantity AND k.cents = a.cents
WHERE a.nth > coalesce(k.copies, 0)
ORDER BY a.line;
