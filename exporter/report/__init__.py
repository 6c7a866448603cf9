"""What a verification found, for people and CI servers: report.json, page, card, job summary, junit.xml, terminal."""
