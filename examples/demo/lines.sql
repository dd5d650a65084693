-- legacy.jsonl into temp.line, each line one value: no separator of the import
-- is in it.  What comes next ends at its first error.
.bail on
CREATE TEMP TABLE line(text TEXT);
.mode ascii
.separator "\037" "\n"
.import legacy.jsonl line
.mode list
.separator "|" "\n"
