-- The member's analytical store, version 1.
--
-- This schema is a promise: people query it with their own tools (stop the
-- node, or work on a copy), so a column keeps its name and meaning, and
-- changes arrive as numbered migrations. Text is never NULL; '' says unknown.
--
-- No table has a unique index. DuckDB keeps those in memory and names the
-- offending value, here somebody's address, in the error. Uniqueness is the
-- work of the one statement list that writes these tables, merge.sql.

-- One row: the version that the migrations have reached.
CREATE TABLE schema_version (version INTEGER NOT NULL);

-- Numbers persons and is never rewound, so that no person inherits what was
-- cached elsewhere for one that is gone.
CREATE SEQUENCE person_numbers START 1;

-- A person is one normalised identifier (norm/1): the e-mail address, or the
-- telephone where no address was given. The number means nothing outside.
CREATE TABLE people (
    person      BIGINT  NOT NULL, -- ascending in the file, which lets scans skip
    postal_code VARCHAR NOT NULL, -- 'H2X1Y4', as the latest import had it
    import      VARCHAR NOT NULL  -- the import that first named the person
);

-- How a person is reached. The principal identifier is the person; a telephone
-- given beside an address is a second row, and may be shared by several.
CREATE TABLE identities (
    person  BIGINT  NOT NULL,
    kind    VARCHAR NOT NULL, -- 'email' or 'phone'
    value   VARCHAR NOT NULL, -- 'claire@example.org', '+15145550100'
    principal BOOLEAN NOT NULL
);

-- Everything ever said about consent. Withdrawing adds a row.
CREATE TABLE consents (
    person  BIGINT    NOT NULL,
    purpose VARCHAR   NOT NULL, -- 'pooling' or 'activation'
    granted BOOLEAN   NOT NULL,
    said_at TIMESTAMP NOT NULL, -- UTC
    import  VARCHAR   NOT NULL
);

-- Where each person stands, kept from consents so that no query has to read
-- all of the history. Consent holds while granted_at > withdrawn_at: of two
-- answers at the same instant the withdrawal prevails.
CREATE TABLE standing (
    person       BIGINT    NOT NULL,
    purpose      VARCHAR   NOT NULL,
    granted_at   TIMESTAMP NOT NULL, -- the last grant; '-infinity': never
    withdrawn_at TIMESTAMP NOT NULL  -- the last withdrawal; '-infinity': never
);

-- One line of an order. A refund is a line with a negative quantity.
CREATE TABLE tickets (
    person     BIGINT  NOT NULL,
    order_code VARCHAR NOT NULL,
    event      VARCHAR NOT NULL,
    discipline VARCHAR NOT NULL, -- code of the cultural taxonomy
    venue      VARCHAR NOT NULL, -- as written by the member
    venue_key  VARCHAR NOT NULL, -- the same without case and accents
    day        DATE,             -- of the performance; NULL: unknown
    quantity   BIGINT  NOT NULL,
    cents      BIGINT  NOT NULL, -- Canadian, for the whole line
    import     VARCHAR NOT NULL
);

-- What was imported, with the digest that refuses the same file twice.
CREATE TABLE imports (
    import      VARCHAR   NOT NULL,
    kind        VARCHAR   NOT NULL,
    file        VARCHAR   NOT NULL,
    digest      VARCHAR   NOT NULL,
    report      VARCHAR   NOT NULL, -- JSON: rows read, kept, refused by reason
    imported_at TIMESTAMP NOT NULL  -- UTC
);

-- The definitions that the member saved.
CREATE TABLE segments (
    name       VARCHAR   NOT NULL,
    definition VARCHAR   NOT NULL, -- JSON, the protocol's Definition
    pooled     BOOLEAN   NOT NULL, -- offered to pooled audiences
    version    BIGINT    NOT NULL, -- 1, then one more at each change
    updated    TIMESTAMP NOT NULL  -- UTC
);
