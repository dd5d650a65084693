-- An application that was there before: tickets, which anybody closes.
CREATE TABLE ticket(
  id     INTEGER PRIMARY KEY,
  title  TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed'))
);

INSERT INTO ticket(title) VALUES ('Export to CSV'), ('Fix the login'), ('Tidy up');
UPDATE ticket SET status = 'closed' WHERE id = 3;
