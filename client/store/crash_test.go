package store

const childRole = "SHOAL_STORE_TEST_CHILD"

func child(string) {}
