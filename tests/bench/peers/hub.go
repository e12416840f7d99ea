// A room server as one writes it with Go and gorilla/websocket, after the chat example of that
// library: a goroutine for each room, two for each client, a channel of 256 messages before each.
//
//	hub PORT lines|frames [REDIS_PORT]
//
// lines: what waits for a client goes out in one frame, with newlines between, as in the example;
// frames: a frame each. With Redis everything goes through it.
package main

import (
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/gorilla/websocket"
)

const (
	writeWait  = 10 * time.Second
	pongWait   = 60 * time.Second
	pingPeriod = pongWait * 9 / 10
)

type client struct {
	room *room
	conn *websocket.Conn
	send chan []byte
}

type room struct {
	name       string
	broadcast  chan []byte
	register   chan *client
	unregister chan *client
}

var (
	lines      bool
	pool       *redis.Pool
	subscriber redis.PubSubConn
	lock       sync.Mutex
	rooms      = map[string]*room{}
	upgrader   = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
)

func find(name string) *room {
	lock.Lock()
	defer lock.Unlock()
	if found := rooms[name]; found != nil {
		return found
	}
	made := &room{name, make(chan []byte), make(chan *client), make(chan *client)}
	rooms[name] = made
	go made.run()
	if pool != nil {
		subscriber.Subscribe(name)
	}
	return made
}

func (r *room) run() {
	clients := map[*client]bool{}
	for {
		select {
		case c := <-r.register:
			clients[c] = true
		case c := <-r.unregister:
			if clients[c] {
				delete(clients, c)
				close(c.send)
			}
		case message := <-r.broadcast:
			for c := range clients {
				select {
				case c.send <- message:
				default:
					close(c.send)
					delete(clients, c)
				}
			}
		}
	}
}

func (c *client) read() {
	defer func() {
		c.room.unregister <- c
		c.conn.Close()
	}()
	c.conn.SetReadDeadline(time.Now().Add(pongWait))
	c.conn.SetPongHandler(func(string) error {
		return c.conn.SetReadDeadline(time.Now().Add(pongWait))
	})
	for {
		_, message, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		if pool == nil {
			c.room.broadcast <- message
			continue
		}
		conn := pool.Get()
		conn.Do("PUBLISH", c.room.name, message)
		conn.Close()
	}
}

// What waits behind the message goes into the same frame.
func (c *client) writeMessage(message []byte) error {
	if !lines {
		return c.conn.WriteMessage(websocket.TextMessage, message)
	}
	w, err := c.conn.NextWriter(websocket.TextMessage)
	if err != nil {
		return err
	}
	w.Write(message)
	for n := len(c.send); n > 0; n-- {
		more, open := <-c.send
		if !open {
			break
		}
		w.Write([]byte{'\n'})
		w.Write(more)
	}
	return w.Close()
}

func (c *client) write() {
	ticker := time.NewTicker(pingPeriod)
	defer func() {
		ticker.Stop()
		c.conn.Close()
	}()
	for {
		select {
		case message, open := <-c.send:
			c.conn.SetWriteDeadline(time.Now().Add(writeWait))
			if !open || c.writeMessage(message) != nil {
				return
			}
		case <-ticker.C:
			c.conn.SetWriteDeadline(time.Now().Add(writeWait))
			if c.conn.WriteMessage(websocket.PingMessage, nil) != nil {
				return
			}
		}
	}
}

func serve(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &client{find(name), conn, make(chan []byte, 256)}
	c.room.register <- c
	go c.write()
	go c.read()
}

func receive() {
	for {
		switch message := subscriber.Receive().(type) {
		case redis.Message:
			find(message.Channel).broadcast <- message.Data
		case error:
			log.Fatal(message)
		}
	}
}

func connectRedis(port string) {
	dial := func() (redis.Conn, error) { return redis.Dial("tcp", "127.0.0.1:"+port) }
	conn, err := dial()
	if err != nil {
		log.Fatal(err)
	}
	pool = &redis.Pool{MaxIdle: 16, Dial: dial}
	subscriber = redis.PubSubConn{Conn: conn}
	// Receive needs a subscription to begin with.
	subscriber.Subscribe("none")
	go receive()
}

func main() {
	lines = os.Args[2] == "lines"
	if len(os.Args) > 3 {
		connectRedis(os.Args[3])
	}
	http.HandleFunc("/ws/", serve)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
