-- Bring it back: the fix is deployed, it has been quiet, and somebody else than
-- you approves.  Any sqlite3 shell, no extension.  Put in your three values:
.parameter set :actor    "'alice'"
.parameter set :reason   "'INC-7: memory leak fixed in r43'"
.parameter set :approver "'bob'"

INSERT OR REPLACE INTO settings (key, value, updated_by, reason, approved_by)
VALUES ('DISABLE_NEW', '0', :actor, :reason, :approver);
