"""Results turned into tables and pictures. Reports only read results; they never compute a metric."""
