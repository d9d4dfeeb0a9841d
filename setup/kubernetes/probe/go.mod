module untradex.io/setup/probe

go 1.25.0
