-- Where an import gathers its rows. Temporary tables belong to one connection
-- and die with the process: an import that is cut off leaves nothing behind.

CREATE OR REPLACE TEMP TABLE staged (
    line        BIGINT  NOT NULL,
    kind        VARCHAR NOT NULL, -- of the principal identifier
    value       VARCHAR NOT NULL,
    phone       VARCHAR NOT NULL, -- given beside an address, else ''
    postal_code VARCHAR NOT NULL,
    order_code  VARCHAR,          -- from here on NULL when the row is no ticket
    event       VARCHAR,
    discipline  VARCHAR,
    venue       VARCHAR,
    venue_key   VARCHAR,
    day         DATE,
    quantity    BIGINT,
    cents       BIGINT
);

CREATE OR REPLACE TEMP TABLE staged_consents (
    line    BIGINT    NOT NULL,
    purpose VARCHAR   NOT NULL,
    granted BOOLEAN   NOT NULL,
    said_at TIMESTAMP NOT NULL
);
