// Package compat runs programs over the stack that nobody here wrote: servers and clients of the standard library and of others,
// to which it must look like package net. What they have in common is that a stack is given to them through net.Conn,
// net.Listener and net.PacketConn, or functions that return those; each test shows the place where.
//
// It is a module of its own, so that nobody who uses the stack depends on what is tested here.
package compat
