"""One seeded world that many devices observe: roads, traffic, weather, incidents, vehicles."""
