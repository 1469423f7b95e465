/*
 * Copyright 2026 The shop example authors.
 * SPDX-License-Identifier: Apache-2.0
 */
package com.example.shop.blog;

import java.util.List;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestMethod;
import org.springframework.web.bind.annotation.RestController;

@RestController
@RequestMapping("/blog")
public class PostController {

    @Autowired
    private PostService postService;

    @RequestMapping(value = "/createPost", method = RequestMethod.POST)
    public PostDto createPost(@RequestBody PostDto draft) {
        Post saved = postService.publish(draft.title(), draft.body());
        return new PostDto(saved.id(), saved.title(), saved.body());
    }

    @GetMapping("/getPost/{id}")
    public PostDto getPost(@PathVariable long id) {
        Post post = postService.require(id);
        return new PostDto(post.id(), post.title(), post.body());
    }

    @GetMapping("/delete/{id}")
    public void deletePost(@PathVariable long id) {
        postService.remove(id);
    }

    @GetMapping("/allPosts")
    public List<PostDto> allPosts() {
        return postService.all().stream().map(p -> new PostDto(p.id(), p.title(), p.body())).toList();
    }
}
