module untradex.io/setup/pause

go 1.25.0
